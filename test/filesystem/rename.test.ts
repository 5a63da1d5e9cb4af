/** Renames: of what is ours, of what the service has, of what is open, and of directories. */
import t from 'tap'
import { caller, contract, flags, reasonOf, startRig, type Rig, writable } from './rig.ts'

contract('a local file, a file of the service, over nothing and over another', async (t, start) => {
  const rig = await start(t)
  rig.files.put('remote', 'remote')
  rig.files.put('over', 'over')
  await rig.write('local', 'local')
  await rig.rename('local', 'local2')
  await rig.rename('remote', 'over')
  t.equal(await rig.read('local2'), 'local')
  t.equal(await rig.read('over'), 'remote')
  t.strictSame(await rig.list(''), ['local2', 'over'])
  await rig.drained()
  t.strictSame(rig.files.paths(), ['local2', 'over'])
  t.equal(rig.files.text('over'), 'remote')
  t.equal(await rig.read('over'), 'remote')
})

contract('the inode number goes along, and so do times, mode and owner', async (t, start) => {
  const rig = await start(t, { files: { modified: 'real' } })
  rig.files.put('a', 'x')
  await rig.pass(60_000)
  const before = await rig.stat('a')
  await rig.rename('a', 'b')
  const after = await rig.stat('b')
  t.equal(after.inode, before.inode)
  t.strictSame(after.modified, before.modified)
  await rig.drained()
  await rig.pass(10_000)
  t.strictSame((await rig.stat('b')).modified, before.modified, 'the upload did not move it')
  await rig.write('a', 'new')
  t.not((await rig.stat('a')).inode, after.inode)
})

contract('a rename moves the time of the change alone, of a directory as of a file', async (t, start) => {
  const rig = await start(t)
  rig.files.put('d/file', 'text')
  rig.files.put('file', 'text')
  await rig.mkdir('ours')
  for (const name of ['d', 'file', 'ours']) {
    const before = await rig.stat(name)
    await rig.pass(10_000)
    await rig.rename(name, `${name}-2`)
    const after = await rig.stat(`${name}-2`)
    t.ok(after.changed.seconds >= before.changed.seconds + 10, name)
    t.strictSame(after.modified, before.modified, name)
    t.equal(after.inode, before.inode, name)
  }
})

contract('open files go on under the new name, and those renamed over without a name', async (t, start) => {
  const rig = await start(t)
  rig.files.put('from', 'from')
  rig.files.put('to', 'to')
  const from = await rig.open('from', writable)
  const to = await rig.open('to')
  await rig.rename('from', 'to')
  t.equal(await rig.readHandle(from), 'from')
  t.equal(await rig.readHandle(to), 'to')
  await rig.writeHandle(from, 4, '!')
  t.equal(await rig.read('to'), 'from!')
  t.equal(await rig.readHandle(to), 'to')
  await rig.close(from)
  await rig.close(to)
  await rig.drained()
  t.equal(rig.files.text('to'), 'from!')
  t.strictSame(rig.files.paths(), ['to'])
})

contract('temp file, rename over: one upload under the final name', async (t, start) => {
  const rig = await start(t)
  rig.files.put('a', 'old')
  await rig.write('a.tmp', 'new')
  await rig.rename('a.tmp', 'a')
  await rig.drained()
  t.equal(rig.files.text('a'), 'new')
  t.strictSame(
    rig.files.calls.filter((call) => call.verb === 'upload').map((call) => call.path),
    ['a'],
  )
})

contract('what POSIX refuses', async (t, start) => {
  const rig = await start(t)
  rig.files.put('f', 'x')
  rig.files.put('d/f', 'x')
  rig.files.putDirectory('empty')
  t.equal(await reasonOf(rig.rename('none', 'x')), 'missing')
  t.equal(await reasonOf(rig.rename('f', 'd')), 'isDirectory')
  t.equal(await reasonOf(rig.rename('d', 'f')), 'notDirectory')
  t.equal(await reasonOf(rig.rename('empty', 'd')), 'notEmpty')
  t.equal(await reasonOf(rig.rename('d', 'd/e')), 'invalid')
  t.equal(await reasonOf(rig.rename('f', 'd/f', true)), 'exists')
  t.equal(await reasonOf(rig.rename('f', 'n'.repeat(256))), 'nameTooLong')
  t.equal(await reasonOf(rig.rename('f', 'f')), 'none')
  t.equal(await reasonOf(rig.rename('d', 'd')), 'none')
  await rig.drained()
  t.strictSame(rig.files.paths(), ['d/', 'd/f', 'empty/', 'f'])
})

async function treeOf(rig: Rig, path: string): Promise<string[]> {
  const all: string[] = []
  for (const name of await rig.list(path)) {
    const below = path === '' ? name : `${path}/${name}`
    const { kind } = await rig.stat(below)
    all.push(kind === 'directory' ? `${below}/` : `${below}=${await rig.read(below)}`)
    if (kind === 'directory') all.push(...(await treeOf(rig, below)))
  }
  return all
}

contract('a directory with all below it, local and remote', async (t, start) => {
  const rig = await start(t)
  rig.files.put('d/a', 'a')
  rig.files.put('d/sub/b', 'b')
  rig.files.put('d/gone', 'gone')
  rig.files.putDirectory('d/empty')
  rig.files.putDirectory('target')
  await rig.write('d/local', 'local')
  await rig.unlink('d/gone')
  const inode = (await rig.stat('d/sub/b')).inode
  const open = await rig.open('d/a')
  const expected = ['e/a=a', 'e/empty/', 'e/local=local', 'e/sub/', 'e/sub/b=b']
  await rig.rename('d', 'e')
  t.strictSame(await treeOf(rig, 'e'), expected)
  t.notOk(await rig.exists('d'))
  t.equal((await rig.stat('e/sub/b')).inode, inode)
  t.equal(await rig.readHandle(open), 'a')
  await rig.close(open)
  await rig.rename('e', 'target')
  await rig.rename('target', 'e')
  t.strictSame(await treeOf(rig, 'e'), expected)
  await rig.drained()
  t.strictSame(rig.files.paths(), ['e/', 'e/a', 'e/empty/', 'e/local', 'e/sub/', 'e/sub/b'])
  t.strictSame(await treeOf(rig, 'e'), expected)
})

contract('a hundred files are renamed at once, more than the limit are left to mv', async (t, start) => {
  const renameLimit = { files: 100, bytes: 1000, listingMs: 2000 }
  const rig = await start(t, { options: { renameLimit }, maxFileBytes: 900 })
  for (let i = 0; i < 100; i++) rig.files.put(`d/${i}`, `${i}`)
  for (let i = 0; i < 101; i++) rig.files.put(`many/${i}`, `${i}`)
  rig.files.put('heavy/a', Buffer.alloc(600))
  rig.files.put('heavy/b', Buffer.alloc(600))
  rig.files.put('large/a', Buffer.alloc(901))
  await rig.rename('d', 'e')
  t.equal((await rig.list('e')).length, 100)
  await rig.drained()
  t.equal(rig.files.paths().filter((path) => path.startsWith('e/')).length, 101)
  t.equal(await reasonOf(rig.rename('many', 'x')), 'crossDevice')
  t.equal(await reasonOf(rig.rename('heavy', 'x')), 'crossDevice')
  t.equal(await reasonOf(rig.rename('large', 'x')), 'tooLarge')
  t.ok(await rig.exists('heavy/a'))
})

contract('a listing that takes too long is left to mv', async (t, start) => {
  const rig = await start(t)
  rig.files.put('d/a', 'a')
  await rig.node('d')
  const gate = rig.files.hold({ verb: 'list', path: 'd' })
  const renaming = reasonOf(rig.rename('d', 'e'))
  await gate.arrived()
  await rig.pass(2001)
  t.equal(await renaming, 'crossDevice')
  gate.release()
  t.equal(await rig.read('d/a'), 'a')
})

void t.test('a file renamed while it is read is read to its end', async (t) => {
  const rig = await startRig(t)
  rig.files.put('a', 'abc')
  const handle = await rig.open('a')
  await rig.rename('a', 'b')
  await rig.drained()
  t.strictSame(rig.files.paths(), ['b'])
  t.equal(await rig.readHandle(handle), 'abc', 'its first read comes when the old name is gone')
  await rig.close(handle)
})

contract('a file that is renamed and written to before it is fetched loses nothing', async (t, start) => {
  const rig = await start(t, { maxFileBytes: 4 })
  rig.files.put('a', 'abc')
  await rig.rename('a', 'b')
  const handle = await rig.open('b', flags('write', 'append'))
  t.equal(await reasonOf(rig.writeHandle(handle, 0, 'too much', true)), 'tooLarge')
  await rig.close(handle)
  await rig.drained()
  t.strictSame(rig.files.paths(), ['b'])
  t.equal(rig.files.text('b'), 'abc')
  t.equal(await rig.read('b'), 'abc')
})

contract(
  'a look-up below a directory that is renamed meanwhile is answered for the new place',
  async (t, start) => {
    const rig = await start(t)
    rig.files.put('d/sub/a', 'a')
    const sub = await rig.node('d/sub')
    await rig.pass(5000)
    const gate = rig.files.hold({ verb: 'list', path: 'd/sub' })
    const looking = rig.fs.lookup(sub, 'a', caller)
    await rig.pass(0)
    const renaming = rig.rename('d', 'e')
    await rig.pass(0)
    gate.release()
    await renaming
    const entry = await looking
    t.match(entry.attributes, { size: 1 })
    t.equal(entry.node, await rig.node('e/sub/a'))
  },
)
