/** What programs on this mount see of their own changes, and what the service gets. */
import t from 'tap'
import { caller, contract, flags, readOnly, reasonOf, startRig, writable } from './rig.ts'

void t.test('a new file is there at once, and on the service after a while', async (t) => {
  const rig = await startRig(t)
  await rig.write('a.txt', 'hello')
  t.equal(await rig.read('a.txt'), 'hello')
  t.strictSame(await rig.list(''), ['a.txt'])
  t.notOk(rig.files.has('a.txt'))
  await rig.drained()
  t.equal(rig.files.text('a.txt'), 'hello')
  t.equal(rig.files.count('upload'), 1)
  t.equal(await rig.read('a.txt'), 'hello')
  t.equal(rig.files.count('download'), 0, 'what we wrote is not fetched back')
})

contract('a file of the service is appended to, on the whole of its base', async (t, start) => {
  const rig = await start(t)
  rig.files.put('a.txt', 'one\n')
  await rig.append('a.txt', 'two\n')
  t.equal(await rig.read('a.txt'), 'one\ntwo\n')
  await rig.drained()
  t.equal(rig.files.text('a.txt'), 'one\ntwo\n')
})

contract('appending handles write at the end whatever offset is sent', async (t, start) => {
  const rig = await start(t)
  rig.files.put('log', 'x')
  const a = await rig.open('log', flags('write', 'append'))
  const b = await rig.open('log', flags('write', 'append'))
  await Promise.all([rig.writeHandle(a, 0, 'aa', true), rig.writeHandle(b, 0, 'bb', true)])
  await rig.writeHandle(a, 1, 'cc', true)
  t.match(await rig.read('log'), /^x(aabb|bbaa)cc$/)
  t.equal(rig.files.count('download'), 1, 'one base for both')
  await rig.close(a)
  await rig.close(b)
})

contract('O_TRUNC fetches nothing', async (t, start) => {
  const rig = await start(t)
  rig.files.put('a.txt', 'old')
  await rig.write('a.txt', 'new')
  await rig.drained()
  t.equal(rig.files.text('a.txt'), 'new')
  t.equal(rig.files.count('download'), 0)
})

contract('a store at an offset past the end leaves a hole of zeros', async (t, start) => {
  const rig = await start(t)
  const handle = await rig.create('a')
  await rig.writeHandle(handle, 4, 'x')
  t.equal(await rig.readHandle(handle), '\0\0\0\0x')
  await rig.close(handle)
})

contract('what stat shows', async (t, start) => {
  const rig = await start(t)
  rig.files.put('old.txt', Buffer.alloc(513))
  rig.files.putDirectory('dir')
  const file = await rig.stat('old.txt')
  t.match(file, { kind: 'file', size: 513, blocks: 2, mode: 0o644, uid: 1000, gid: 1000, linkCount: 1 })
  t.equal(file.modified.seconds, Date.UTC(2025, 11, 1) / 1000, 'when the session came to be')
  t.match(await rig.stat('dir'), { kind: 'directory', mode: 0o755, linkCount: 1 })
  rig.files.resetCalls()
  t.match(await rig.stat(''), { kind: 'directory', inode: 1 })
  t.match(rig.fs.statistics(), { nameLength: 255 })
  t.equal(rig.files.calls.length, 0, 'the root and df ask nothing')
})

contract('times, mode and owner are kept to the nanosecond', async (t, start) => {
  const rig = await start(t)
  rig.files.put('a', 'x')
  const node = await rig.node('a')
  const time = { seconds: 1234567890, nanoseconds: 123456789 }
  const reply = await rig.fs.setAttributes(
    node,
    undefined,
    { mode: 0o751, uid: 7, gid: 8, modified: time, accessed: { seconds: -1, nanoseconds: 5 } },
    caller,
  )
  t.match(reply.attributes, { mode: 0o751, uid: 7, gid: 8, modified: time })
  t.strictSame((await rig.stat('a')).accessed, { seconds: -1, nanoseconds: 5 })
  await rig.fs.setAttributes(node, undefined, { modified: 'now' }, caller)
  t.equal((await rig.stat('a')).modified.seconds, Math.floor(rig.clock.wallMs() / 1000))
})

contract('the change time moves on changes alone', async (t, start) => {
  const rig = await start(t)
  await rig.write('a', 'x')
  const before = (await rig.stat('a')).changed
  await rig.pass(10_000)
  t.strictSame((await rig.stat('a')).changed, before)
  await rig.fs.setAttributes(await rig.node('a'), undefined, { mode: 0o600 }, caller)
  t.not((await rig.stat('a')).changed.seconds, before.seconds)
})

contract('truncate', async (t, start) => {
  const rig = await start(t)
  rig.files.put('a', 'abcdef')
  rig.files.put('b', 'abcdef')
  await rig.truncate('a', 3)
  t.equal(await rig.read('a'), 'abc')
  await rig.truncate('a', 5)
  t.equal(await rig.read('a'), 'abc\0\0')
  rig.files.resetCalls()
  await rig.truncate('b', 0)
  t.equal(await rig.read('b'), '')
  t.equal(rig.files.count('download'), 0, 'to nothing needs no base')
  await rig.drained()
  t.equal(rig.files.text('a'), 'abc\0\0')
  t.equal(rig.files.text('b'), '')
})

contract('an unlinked file goes on for those who have it open', async (t, start) => {
  const rig = await start(t)
  rig.files.put('clean', 'from the service')
  const clean = await rig.open('clean')
  await rig.write('ours', 'ours')
  const ours = await rig.open('ours', writable)
  await rig.unlink('clean')
  await rig.unlink('ours')
  t.notOk(await rig.exists('clean'))
  t.notOk(await rig.exists('ours'))
  await rig.drained()
  t.notOk(rig.files.has('clean'))
  t.equal(await rig.readHandle(clean), 'from the service')
  t.equal(await rig.readHandle(ours), 'ours')
  await rig.writeHandle(ours, 0, 'OURS')
  t.equal(await rig.readHandle(ours), 'OURS')
  await rig.close(clean)
  await rig.close(ours)
  await rig.drained()
  t.strictSame(rig.files.paths(), [])
})

contract('an unlinked clean file can still be written to', async (t, start) => {
  const rig = await start(t)
  rig.files.put('clean', 'base')
  const handle = await rig.open('clean', writable)
  await rig.unlink('clean')
  await rig.writeHandle(handle, 4, '+')
  t.equal(await rig.readHandle(handle), 'base+')
  const { attributes } = await rig.fs.getAttributes(2, handle, caller)
  t.match(attributes, { size: 5, linkCount: 0 })
  await rig.close(handle)
})

contract('the name of an unlinked open file is free, and its number is not given again', async (t, start) => {
  const rig = await start(t)
  await rig.write('a', 'one')
  const old = await rig.open('a')
  const { inode } = await rig.stat('a')
  await rig.unlink('a')
  await rig.write('a', 'two')
  t.equal(await rig.readHandle(old), 'one')
  t.equal(await rig.read('a'), 'two')
  t.not((await rig.stat('a')).inode, inode)
})

contract('nameless files', async (t, start) => {
  const rig = await start(t)
  const { entry, open } = await rig.fs.createUnnamed(1, writable, 0o600, caller)
  t.match(entry.attributes, { linkCount: 0, size: 0, mode: 0o600 })
  await rig.writeHandle(open.handle, 0, 'secret')
  t.equal(await rig.readHandle(open.handle), 'secret')
  await rig.close(open.handle)
  rig.fs.forget(entry.node, 1)
  t.equal(rig.fs.nodes, 1)
  await rig.drained()
  t.equal(rig.files.count('upload'), 0)
})

contract(
  'the limit is enforced at the request that crosses it, and the file stays as it was',
  async (t, start) => {
    const rig = await start(t, { maxFileBytes: 10 })
    rig.files.put('big', 'more than ten bytes')
    const handle = await rig.create('a')
    await rig.writeHandle(handle, 0, '0123456789')
    t.equal(await reasonOf(rig.writeHandle(handle, 9, 'xx')), 'tooLarge')
    t.equal(await reasonOf(rig.writeHandle(handle, 0, 'x', true)), 'tooLarge')
    t.equal(await reasonOf(rig.truncate('a', 11)), 'tooLarge')
    t.equal(
      await reasonOf(() => rig.fs.allocate({ handle, mode: 'extend', offset: 5, length: 6 }, caller)),
      'tooLarge',
    )
    t.equal(await rig.readHandle(handle), '0123456789')
    await rig.close(handle)
    t.equal(await rig.read('big'), 'more than ten bytes')
    t.equal(await reasonOf(rig.open('big', writable)), 'tooLarge')
    t.equal(await reasonOf(rig.truncate('big', 3)), 'tooLarge')
    t.equal(await reasonOf(rig.rename('big', 'c')), 'tooLarge')
    await rig.write('big', 'small')
    t.equal(await rig.read('big'), 'small')
  },
)

contract('fallocate, holes and seeks', async (t, start) => {
  const rig = await start(t)
  rig.files.put('a', 'abcdef')
  const handle = await rig.open('a', writable)
  t.equal(await rig.fs.seek(handle, 2, 'data', caller), 2)
  t.equal(await rig.fs.seek(handle, 2, 'hole', caller), 6)
  t.equal(await reasonOf(() => rig.fs.seek(handle, 6, 'data', caller)), 'noData')
  await rig.fs.allocate({ handle, mode: 'keepSize', offset: 0, length: 100 }, caller)
  t.equal(await rig.readHandle(handle), 'abcdef')
  await rig.fs.allocate({ handle, mode: 'punchHole', offset: 1, length: 2 }, caller)
  await rig.fs.allocate({ handle, mode: 'extend', offset: 0, length: 8 }, caller)
  t.equal(await rig.readHandle(handle), 'a\0\0def\0\0')
  await rig.close(handle)
})

contract('ranges are copied between files', async (t, start) => {
  const rig = await start(t)
  rig.files.put('from', 'abcdef')
  const from = await rig.open('from')
  const to = await rig.create('to')
  t.equal(await rig.fs.copyRange({ from, fromOffset: 2, to, toOffset: 1, length: 100 }, caller), 4)
  t.equal(await rig.readHandle(to), '\0cdef')
  t.equal(await rig.fs.copyRange({ from, fromOffset: 6, to, toOffset: 0, length: 100 }, caller), 0)
  await rig.close(to)
  await rig.close(from)
})

contract('nodes are forgotten when the kernel forgets them', async (t, start) => {
  const rig = await start(t)
  rig.files.put('d/e/f', 'x')
  const f = await rig.node('d/e/f')
  t.equal(rig.fs.nodes, 4)
  rig.fs.forget(f, 1)
  rig.fs.forget(await rig.node('d/e'), 2)
  t.equal(rig.fs.nodes, 2)
  t.equal(await reasonOf(() => rig.fs.open(f, readOnly, caller)), 'missing')
})

contract('making what is there, and removing what cannot be removed', async (t, start) => {
  const rig = await start(t)
  rig.files.put('d/f', 'x')
  t.equal(await reasonOf(rig.mkdir('d')), 'exists')
  t.equal(await reasonOf(rig.create('d/f', flags('write', 'exclusive'))), 'exists')
  t.equal(await reasonOf(rig.unlink('d')), 'isDirectory')
  t.equal(await reasonOf(rig.rmdir('d/f')), 'notDirectory')
  t.equal(await reasonOf(rig.rmdir('d')), 'notEmpty')
  t.equal(await reasonOf(rig.unlink('x')), 'missing')
  t.equal(await reasonOf(rig.create('n'.repeat(256))), 'nameTooLong')
  t.equal(await reasonOf(rig.create('n'.repeat(255))), 'none')
  t.equal(await reasonOf(rig.open('d', readOnly)), 'isDirectory')
  await rig.unlink('d/f')
  await rig.rmdir('d')
  t.notOk(await rig.exists('d'))
  await rig.drained()
  t.notOk(rig.files.has('d'))
})

contract('a new directory and all below it ask nothing of the service', async (t, start) => {
  const rig = await start(t)
  await rig.mkdir('d')
  rig.files.resetCalls()
  await rig.mkdir('d/e')
  await rig.write('d/e/f', 'x')
  t.notOk(await rig.exists('d/e/g'))
  t.strictSame(await rig.list('d/e'), ['f'])
  t.equal(rig.files.calls.length, 0)
  await rig.drained()
  t.equal(rig.files.text('d/e/f'), 'x')
})

contract('a removed directory answers nothing any more', async (t, start) => {
  const rig = await start(t)
  await rig.mkdir('d')
  const d = await rig.node('d')
  await rig.rmdir('d')
  t.equal(await reasonOf(() => rig.fs.lookup(d, 'x', caller)), 'missing')
  t.equal(
    await reasonOf(() => rig.fs.create(d, { name: 'x', flags: writable, mode: 0o644 }, caller)),
    'missing',
  )
})

contract('a read-only mount', async (t, start) => {
  const rig = await start(t, { options: { readOnly: true } })
  rig.files.put('a', 'x')
  t.equal(await rig.read('a'), 'x')
  t.equal(await reasonOf(rig.write('a', 'y')), 'readOnly')
  t.equal(await reasonOf(rig.open('a', writable)), 'readOnly')
  t.equal(await reasonOf(rig.create('b')), 'readOnly')
  t.equal(await reasonOf(rig.unlink('a')), 'readOnly')
  t.equal(await reasonOf(rig.rename('a', 'b')), 'readOnly')
  t.equal(await reasonOf(rig.mkdir('d')), 'readOnly')
  t.equal(await reasonOf(rig.truncate('a', 0)), 'readOnly')
})
