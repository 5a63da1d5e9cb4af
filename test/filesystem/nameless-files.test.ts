/** Files that lose their name while the kernel knows them, or somebody has them open. */
import t from 'tap'
import { caller, contract, flags, readOnly, reasonOf, startRig, type Rig, writable } from './rig.ts'
import { spooledIn } from '../write-back/spooled-files.ts'

/** Opens an inode that was looked up before, reads it and closes it. */
async function readNode(rig: Rig, node: number): Promise<string> {
  const { handle } = await rig.fs.open(node, readOnly, caller)
  const text = await rig.readHandle(handle)
  await rig.close(handle)
  return text
}

/** The service is seen to have what it confirmed, and the spool keeps it no more. */
async function shown(rig: Rig): Promise<void> {
  await rig.listings.list('', { maxAgeMs: 0 })
  await rig.pass(2000)
}

const spooled = (rig: Rig): number => spooledIn(rig.directory).length

contract('what was looked up is opened as it was until it is forgotten', async (t, start) => {
  const rig = await start(t)
  await rig.write('replaced', 'old')
  await rig.write('removed', 'gone')
  await rig.write('new', 'new')
  const [replaced, removed] = [await rig.node('replaced'), await rig.node('removed')]
  await rig.rename('new', 'replaced')
  await rig.unlink('removed')
  await rig.drained()
  await shown(rig)
  t.equal(await readNode(rig, replaced), 'old')
  t.equal(await readNode(rig, replaced), 'old')
  t.equal(await readNode(rig, removed), 'gone')
  t.equal(await rig.read('replaced'), 'new')
  t.equal(spooled(rig), 2)
  rig.fs.forget(replaced, 100)
  rig.fs.forget(removed, 100)
  await rig.pass(2000)
  t.equal(spooled(rig), 0)
  t.equal(await reasonOf(() => rig.fs.open(removed, readOnly, caller)), 'missing')
})

contract('what is written to it is kept as long, and never travels', async (t, start) => {
  const rig = await start(t)
  await rig.write('a', 'old')
  const node = await rig.node('a')
  await rig.unlink('a')
  await rig.fs.setAttributes(node, undefined, { size: 2 }, caller)
  t.equal(await readNode(rig, node), 'ol')
  const { handle } = await rig.fs.open(node, flags('write', 'truncate'), caller)
  await rig.writeHandle(handle, 0, 'changed')
  await rig.close(handle)
  t.equal(await readNode(rig, node), 'changed')
  await rig.drained()
  t.same(rig.files.paths(), [])
})

void t.test('what is in the cache is opened as well, what is on the service alone is stale', async (t) => {
  const rig = await startRig(t)
  rig.files.put('cached', 'bytes')
  rig.files.put('elsewhere', 'bytes')
  const [cached, elsewhere] = [await rig.node('cached'), await rig.node('elsewhere')]
  await rig.read('cached')
  rig.files.resetCalls()
  await rig.unlink('cached')
  await rig.unlink('elsewhere')
  await rig.drained()
  t.equal(await readNode(rig, cached), 'bytes')
  t.equal(await reasonOf(() => rig.fs.open(elsewhere, readOnly, caller)), 'stale')
  t.same(rig.files.paths(), [])
  t.equal(rig.files.count('download'), 0)
  const { handle } = await rig.fs.open(cached, writable, caller)
  await rig.writeHandle(handle, 0, 'B')
  await rig.close(handle)
  t.equal(await readNode(rig, cached), 'Bytes')
})

contract('what the agent removes is stale', async (t, start) => {
  const rig = await start(t)
  rig.files.put('a', 'bytes')
  const node = await rig.node('a')
  await rig.read('a')
  rig.files.take('a')
  await rig.pass(2500)
  t.equal(await reasonOf(() => rig.fs.open(node, readOnly, caller)), 'stale')
})

contract('a file that could not be removed is not kept from being put away', async (t, start) => {
  let isFull = false
  const rig = await start(t, {
    failpoint: (name) => {
      if (isFull && name.startsWith('journal.') && name.endsWith('.before'))
        throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
    },
  })
  await rig.write('a', 'content')
  isFull = true
  t.equal(await reasonOf(rig.unlink('a')), 'diskFull')
  isFull = false
  t.equal(await rig.read('a'), 'content')
  await rig.drained()
  t.equal(rig.files.text('a'), 'content')
  await shown(rig)
  t.equal(spooled(rig), 0)
})

contract('a new file in the place of one that the agent removed is not that one', async (t, start) => {
  const rig = await start(t)
  rig.files.put('a', 'theirs')
  const open = await rig.open('a')
  t.equal(await rig.readHandle(open), 'theirs')
  rig.files.take('a')
  await rig.pass(2500)
  await rig.write('a', 'ours')
  t.equal(await rig.readHandle(open), 'theirs')
  t.equal(await rig.read('a'), 'ours')
})
