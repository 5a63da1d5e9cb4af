/** What programs on this mount see of what the agent does meanwhile, and when. */
import t from 'tap'
import { caller, contract, flags, readOnly, reasonOf, startRig, writable } from './rig.ts'

void t.test('changes show when the listing is older than the TTL, and not before', async (t) => {
  const rig = await startRig(t)
  rig.files.put('a', 'a')
  t.strictSame(await rig.list(''), ['a'])
  t.notOk(await rig.exists('b'))
  rig.files.put('b', 'b')
  t.notOk(await rig.exists('b'))
  t.equal(rig.files.count('list'), 1)
  await rig.pass(2001)
  t.equal(await rig.read('b'), 'b')
  t.equal(rig.files.count('list'), 2)
})

void t.test('no answer may be remembered for longer than its listing is good for', async (t) => {
  const rig = await startRig(t)
  rig.files.put('a', 'a')
  await rig.node('a')
  await rig.pass(1500)
  const entry = await rig.fs.lookup(1, 'a', caller)
  t.match(entry, { entryTtlMs: 500, attributesTtlMs: 500 })
  t.match(await rig.fs.lookup(1, 'none', caller), { node: 0, entryTtlMs: 500 })
})

contract('what is ours and confirmed does not hide what comes after', async (t, start) => {
  const rig = await start(t)
  rig.files.put('gone', 'x')
  await rig.write('a', 'ours')
  await rig.unlink('gone')
  await rig.drained()
  rig.files.put('a', 'theirs!')
  rig.files.put('gone', 'back')
  await rig.pass(3000)
  t.equal((await rig.stat('a')).size, 7)
  t.equal(await rig.read('a'), 'theirs!')
  t.equal(await rig.read('gone'), 'back')
})

for (const modified of ['zero', 'real'] as const)
  contract(
    `a file that is replaced while it is open and not read yet, times ${modified}`,
    async (t, start) => {
      const rig = await start(t, { files: { modified } })
      rig.files.put('a', 'old')
      const handle = await rig.open('a')
      const before = await rig.stat('a')
      await rig.pass(60_000)
      rig.files.put('a', 'new')
      await rig.pass(60_000)
      rig.files.put('a', 'longer')
      await rig.pass(60_000)
      const after = await rig.stat('a')
      t.equal(after.inode, before.inode)
      t.equal(await rig.readHandle(handle), 'longer')
      await rig.close(handle)
    },
  )

for (const modified of ['zero', 'real'] as const)
  contract(`a file that is replaced while it is read, times ${modified}`, async (t, start) => {
    const rig = await start(t, { files: { modified } })
    rig.files.put('a', 'old')
    const handle = await rig.open('a')
    t.equal(await rig.readHandle(handle), 'old')
    const before = await rig.stat('a')
    await rig.pass(60_000)
    rig.files.put('a', 'longer')
    t.equal(await rig.readHandle(handle), 'old', 'an open file asks nothing')
    const after = await rig.stat('a')
    t.equal(after.size, 6)
    t.equal(after.inode, before.inode)
    t.ok(after.modified.seconds > before.modified.seconds, 'make and git must see it')
    await rig.pass(0)
    t.ok(rig.news.includes('node 2 0'), 'the kernel drops its pages')
    t.equal(await rig.read('a'), 'longer')
    t.equal(await rig.readHandle(handle), 'old', 'what was read goes on as it was')
    await rig.close(handle)
    t.equal(await rig.read('a'), 'longer')
  })

void t.test('the same size and no times: other bytes show at the next open, and move the time', async (t) => {
  const rig = await startRig(t)
  rig.files.put('a', 'old')
  t.equal(await rig.read('a'), 'old')
  const before = await rig.stat('a')
  await rig.pass(3000)
  rig.files.put('a', 'new')
  t.equal(await rig.read('a'), 'new')
  const after = await rig.stat('a')
  t.ok(after.modified.seconds > before.modified.seconds)
  await rig.pass(3000)
  t.equal(await rig.read('a'), 'new')
  t.strictSame((await rig.stat('a')).modified, after.modified, 'the same bytes again do not')
})

void t.test('the kernel may keep its pages only of what is proven the same', async (t) => {
  const rig = await startRig(t)
  rig.files.put('a', 'old')
  const node = await rig.node('a')
  const keep = async (): Promise<boolean> => {
    const reply = await rig.fs.open(node, readOnly, caller)
    await rig.readHandle(reply.handle)
    await rig.close(reply.handle)
    return reply.keepCache
  }
  t.equal(await keep(), false)
  t.equal(await keep(), true)
  await rig.pass(3000)
  t.equal(await keep(), false, 'not proven any more')
  t.equal(await keep(), true)
  await rig.append('a', '+')
  t.equal(await keep(), true, 'our own writes went through the kernel')
  rig.files.put('a', 'theirs')
  await rig.drained()
  await rig.pass(3000)
  t.equal(await keep(), false)
})

contract('a file with unsent bytes adopts nothing', async (t, start) => {
  const rig = await start(t)
  rig.files.put('a', 'base')
  const handle = await rig.open('a', writable)
  await rig.writeHandle(handle, 0, 'OURS')
  rig.files.put('a', 'theirs is longer')
  await rig.pass(3000)
  t.equal(await rig.readHandle(handle), 'OURS')
  t.equal((await rig.stat('a')).size, 4)
  await rig.close(handle)
  await rig.drained()
  t.equal(rig.files.text('a'), 'OURS')
  t.equal(rig.files.paths().filter((path) => path.startsWith('a.conflict-')).length, 1)
})

contract('an open file that was sent and then replaced by the agent is theirs again', async (t, start) => {
  const rig = await start(t)
  const handle = await rig.create('a')
  await rig.writeHandle(handle, 0, 'ours')
  await rig.drained()
  t.equal(rig.files.text('a'), 'ours')
  rig.files.put('a', 'theirs!')
  await rig.pass(3000)
  t.equal((await rig.stat('a')).size, 7)
  t.equal(await rig.readHandle(handle), 'theirs!')
  await rig.writeHandle(handle, 7, '+', true)
  t.equal(await rig.readHandle(handle), 'theirs!+')
  await rig.close(handle)
  await rig.drained()
  t.equal(rig.files.text('a'), 'theirs!+')
})

contract(
  'a file that is deleted while it is open: what was read stays, what was not is missing',
  async (t, start) => {
    const rig = await start(t)
    rig.files.put('read', 'read')
    rig.files.put('unread', 'unread')
    const read = await rig.open('read')
    const unread = await rig.open('unread')
    t.equal(await rig.readHandle(read), 'read')
    rig.files.take('read')
    rig.files.take('unread')
    await rig.pass(3000)
    t.notOk(await rig.exists('read'))
    t.equal(await rig.readHandle(read), 'read')
    t.equal(await reasonOf(rig.readHandle(unread)), 'missing')
    const { attributes } = await rig.fs.getAttributes(2, read, caller)
    t.match(attributes, { size: 4, linkCount: 0 })
    await rig.close(read)
    await rig.close(unread)
  },
)

contract('a file that has become a directory and was not looked at since is one', async (t, start) => {
  const rig = await start(t)
  rig.files.put('a', 'file')
  rig.files.put('sub/b', 'file')
  const node = await rig.node('a')
  const { handle } = await rig.fs.open(node, readOnly, caller)
  const writer = await rig.open('sub/b', writable)
  for (const name of ['a', 'sub/b']) {
    rig.files.take(name)
    rig.files.putDirectory(name)
  }
  t.equal(await reasonOf(rig.readHandle(handle)), 'isDirectory')
  t.equal(await reasonOf(rig.writeHandle(writer, 1, 'x')), 'isDirectory')
})

contract('a file becomes a directory and a directory a file', async (t, start) => {
  const rig = await start(t)
  rig.files.put('f', 'x')
  rig.files.putDirectory('d')
  const [f, d] = [await rig.node('f'), await rig.node('d')]
  rig.files.take('f')
  rig.files.put('f/in', 'in')
  rig.files.take('d')
  rig.files.put('d', 'file')
  await rig.pass(3000)
  t.equal(await reasonOf(async () => rig.fs.getAttributes(f, undefined, caller)), 'missing')
  t.equal(await reasonOf(async () => rig.fs.lookup(d, 'x', caller)), 'missing')
  t.equal(await rig.read('f/in'), 'in')
  t.equal(await rig.read('d'), 'file')
})

contract('new files have the time at which they were first seen, and keep it', async (t, start) => {
  const rig = await start(t)
  rig.files.put('old', 'x')
  await rig.list('')
  await rig.pass(60_000)
  rig.files.put('new', 'x')
  await rig.list('')
  const seen = (await rig.stat('new')).modified.seconds
  t.equal(seen, Math.floor(rig.clock.wallMs() / 1000))
  t.equal((await rig.stat('old')).modified.seconds, Date.UTC(2025, 11, 1) / 1000)
  await rig.pass(60_000)
  t.equal((await rig.stat('new')).modified.seconds, seen)
  t.equal((await rig.stat('')).modified.seconds, seen, 'the directory changed then, too')
})

contract('the time of the service is shown where it says one', async (t, start) => {
  const rig = await start(t, { files: { modified: 'real' } })
  rig.files.put('a', 'x')
  const then = Math.floor(rig.clock.wallMs() / 1000)
  await rig.pass(60_000)
  t.equal((await rig.stat('a')).modified.seconds, then)
})

contract(
  'a file that the agent created meanwhile is opened, not replaced, by a plain create',
  async (t, start) => {
    const rig = await start(t)
    t.notOk(await rig.exists('a'))
    await rig.pass(3000)
    rig.files.put('a', 'theirs')
    const handle = await rig.create('a', flags('read', 'write'))
    t.equal(await rig.readHandle(handle), 'theirs')
    await rig.close(handle)
  },
)

contract('with a TTL of 0 every question is asked', async (t, start) => {
  const rig = await start(t, { ttlMs: 0 })
  rig.files.put('a', 'one')
  t.equal(await rig.read('a'), 'one')
  rig.files.put('a', 'two')
  t.equal(await rig.read('a'), 'two')
  t.match(await rig.fs.lookup(1, 'a', caller), { entryTtlMs: 0 })
  await rig.write('b', 'b')
  await rig.rename('b', 'c')
  await rig.rename('a', 'd')
  t.equal(await rig.read('c'), 'b')
  t.equal(await rig.read('d'), 'two')
  await rig.drained()
  t.strictSame(rig.files.paths(), ['c', 'd'])
})

contract(
  'a directory that the agent removed stays while a file of ours is on its way far below it',
  async (t, start) => {
    const rig = await start(t)
    rig.files.put('d/e/f/old', 'x')
    rig.files.fail({ verb: 'upload', error: 'server_error', times: 50 })
    await rig.write('d/e/f/ours', 'ours')
    for (const path of ['d/e/f/old', 'd/e/f', 'd/e', 'd']) rig.files.take(path)
    await rig.pass(3000)
    t.equal(await rig.read('d/e/f/ours'), 'ours')
    rig.files.clearFaults()
    await rig.drained()
    t.equal(rig.files.text('d/e/f/ours'), 'ours')
  },
)
