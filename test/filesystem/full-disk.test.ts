import type { FailpointName } from '../../src/write-back/disk/failpoints.ts'
import { caller, contract, reasonOf } from './rig.ts'

/** A journal that cannot be written, as on a full disk, while `isFull`. */
function fullDisk(points: (name: FailpointName) => boolean) {
  const disk = {
    isFull: false,
    failpoint(name: FailpointName): void {
      if (disk.isFull && name.endsWith('.before') && points(name))
        throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
    },
  }
  return disk
}

contract('what the agent does is shown although nothing can be written down', async (t, start) => {
  const disk = fullDisk((name) => name.startsWith('journal.'))
  const rig = await start(t, { failpoint: (name) => disk.failpoint(name) })
  rig.files.put('d/a', 'a')
  t.same(await rig.list('d'), ['a'])
  await rig.mkdir('e')
  rig.files.putDirectory('e')
  disk.isFull = true
  rig.files.put('d/b', 'b')
  rig.files.put('d/a', 'longer')
  await rig.pass(2500)
  t.same(await rig.list('d'), ['a', 'b'])
  t.equal(await rig.read('d/a'), 'longer')
  t.same(await rig.list(''), ['d', 'e'])
  t.equal(await reasonOf(rig.mkdir('f')), 'diskFull')
  const change = { mode: 0o600 }
  const node = await rig.node('d/a')
  t.equal(await reasonOf(() => rig.fs.setAttributes(node, undefined, change, caller)), 'diskFull')
})

contract('what was done is not said to have failed because its times cannot be kept', async (t, start) => {
  const disk = fullDisk((name) => name === 'journal.attributes.before')
  const rig = await start(t, { failpoint: (name) => disk.failpoint(name) })
  rig.files.put('old', 'content')
  const handle = await rig.create('open')
  await rig.writeHandle(handle, 0, 'x')
  disk.isFull = true
  await rig.mkdir('d')
  await rig.write('d/new', 'new')
  await rig.close(handle)
  t.same(await rig.list(''), ['d', 'old', 'open'])
  disk.isFull = false
  await rig.drained()
  t.same(rig.files.paths(), ['d/', 'd/new', 'old', 'open'])
  await rig.rename('d/new', 'd/renamed')
  t.equal(await rig.read('d/renamed'), 'new')
})
