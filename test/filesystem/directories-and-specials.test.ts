/** Reading directories, special files, strict mode, interrupts, and what failures of the service become. */
import type { SpecialFile } from '../../src/filesystem/special-file.ts'
import { caller, contract, flags, readOnly, reasonOf, writable } from './rig.ts'

contract(
  'a pass through a directory gives each entry once, whatever is removed meanwhile',
  async (t, start) => {
    const rig = await start(t)
    for (const name of ['a', 'b', 'c', 'd']) rig.files.put(name, name)
    const handle = await rig.fs.openDirectory(1)
    const first = [...(await rig.fs.readDirectory(handle, 0, caller))]
    t.strictSame(
      first.map(({ name }) => name),
      ['.', '..', 'a', 'b', 'c', 'd'],
    )
    await rig.unlink('b')
    await rig.write('e', 'e')
    const rest = [...(await rig.fs.readDirectory(handle, first[3]!.nextOffset, caller))]
    t.strictSame(
      rest.map(({ name }) => name),
      ['c', 'd'],
    )
    const again = [...(await rig.fs.readDirectory(handle, 0, caller))]
    t.strictSame(
      again.map(({ name }) => name),
      ['.', '..', 'a', 'c', 'd', 'e'],
      'from the start it is a new pass',
    )
    rig.fs.releaseDirectory(handle)
  },
)

contract('one listing answers a whole ls -l, with the numbers that stat shows', async (t, start) => {
  const rig = await start(t)
  for (let i = 0; i < 250; i++) rig.files.put(`d/${i}`, `${i}`)
  const d = await rig.node('d')
  rig.files.resetCalls()
  const handle = await rig.fs.openDirectory(d)
  const entries = [...(await rig.fs.readDirectory(handle, 0, caller))].slice(2)
  t.equal(entries.length, 250)
  for (const { name, inode } of entries) {
    const entry = rig.fs.entryOf(handle, name)
    if (entry?.attributes?.inode !== inode) t.fail(`${name} has another number`)
  }
  t.equal(rig.files.count('list'), 3, 'pages of one listing')
  t.equal(rig.fs.entryOf(handle, '.'), undefined)
  await rig.unlink('d/7')
  t.equal(rig.fs.entryOf(handle, '7'), undefined)
  rig.fs.releaseDirectory(handle)
})

contract('special files', async (t, start) => {
  let closed = 0
  const text = Buffer.from('{"pid":1}')
  const opened = {
    read: (offset: number, length: number) => text.subarray(offset, offset + length),
    size: () => text.length,
    close: () => {
      closed++
    },
    remembered: '',
  }
  const status: SpecialFile = {
    name: '.status',
    size: () => text.length,
    open: () => opened,
    reopen: () => opened,
  }
  const rig = await start(t, { specialFiles: [status] })
  rig.files.put('.status', 'not this one')
  rig.files.put('d/.status', 'an ordinary file')
  t.strictSame(await rig.list(''), ['d'])
  await rig.pass(3000)
  t.strictSame(await rig.list(''), ['d'])
  t.strictSame(rig.warnings, [{ name: '.status' }], 'said once')
  t.match(await rig.fs.lookup(1, '.status', caller), { entryTtlMs: 0, attributesTtlMs: 0 })
  t.match(await rig.stat('.status'), { size: 9, mode: 0o444 })
  const reply = await rig.fs.open(await rig.node('.status'), readOnly, caller)
  t.match(reply, { directIo: true, keepCache: false })
  t.equal(await rig.readHandle(reply.handle), '{"pid":1}')
  await rig.close(reply.handle)
  t.equal(closed, 1)
  t.equal(await reasonOf(rig.write('.status', 'x')), 'accessDenied')
  t.equal(await reasonOf(rig.unlink('.status')), 'notPermitted')
  t.equal(await reasonOf(rig.rename('d', '.status')), 'notPermitted')
  t.equal(await reasonOf(rig.mkdir('.status')), 'exists')
  t.equal(await rig.read('d/.status'), 'an ordinary file')
  const shown = await start(t, { specialFiles: [status], options: { showSpecial: true } })
  t.strictSame(await shown.list(''), ['.status'])
})

contract('in strict mode close and naming calls return when the service has it', async (t, start) => {
  const rig = await start(t, { options: { sync: true } })
  const handle = await rig.create('a')
  await rig.writeHandle(handle, 0, 'x')
  await rig.close(handle)
  t.equal(rig.files.text('a'), 'x')
  await rig.rename('a', 'b')
  t.strictSame(rig.files.paths(), ['b'])
  await rig.unlink('b')
  t.strictSame(rig.files.paths(), [])
})

contract('fsync of a file and of a directory wait for the service', async (t, start) => {
  const rig = await start(t)
  const handle = await rig.create('a')
  await rig.writeHandle(handle, 0, 'x')
  await rig.fs.synchronize(handle, caller)
  t.equal(rig.files.text('a'), 'x')
  await rig.writeHandle(handle, 0, 'y')
  const root = await rig.fs.openDirectory(1)
  await rig.fs.synchronizeDirectory(root, caller)
  t.equal(rig.files.text('a'), 'y')
  await rig.close(handle)
})

contract('an interrupted operation ends, and changes nothing afterwards', async (t, start) => {
  const rig = await start(t)
  rig.files.put('a', 'base')
  const node = await rig.node('a')
  const reading = await rig.fs.open(node, writable, caller)
  const gate = rig.files.hold({ verb: 'download', path: 'a' })
  const stop = new AbortController()
  const impatient = { ...caller, signal: stop.signal }
  const read = reasonOf(async () => rig.fs.read(reading.handle, 0, 10, impatient))
  const write = reasonOf(async () =>
    rig.fs.write({ handle: reading.handle, offset: 0, data: Buffer.from('X'), append: false }, impatient),
  )
  await gate.arrived()
  stop.abort()
  t.equal(await read, 'interrupted')
  t.equal(await write, 'interrupted')
  gate.release()
  await rig.pass(100)
  t.equal(await rig.readHandle(reading.handle), 'base')
  await rig.close(reading.handle)
  await rig.drained()
  t.equal(rig.files.count('upload'), 0)
})

contract('a create that was interrupted while it looked is not carried out', async (t, start) => {
  const rig = await start(t)
  const gate = rig.files.hold({ verb: 'list', path: '' })
  const stop = new AbortController()
  const impatient = { ...caller, signal: stop.signal }
  const made = reasonOf(async () =>
    rig.fs.create(1, { name: 'a', flags: flags('write'), mode: 0o644 }, impatient),
  )
  await gate.arrived()
  stop.abort()
  t.equal(await made, 'interrupted')
  gate.release()
  t.notOk(await rig.exists('a'))
})

contract('two creates of one name at once: the second opens what the first made', async (t, start) => {
  const rig = await start(t)
  const both = await Promise.all([rig.create('a'), rig.create('a')])
  await rig.writeHandle(both[0], 0, 'x')
  t.equal(await rig.readHandle(both[1]), 'x')
  const exclusive = flags('write', 'exclusive')
  const reasons = [rig.create('b', exclusive), rig.create('b', exclusive)].map(reasonOf)
  t.strictSame((await Promise.all(reasons)).sort(), ['exists', 'none'])
})
