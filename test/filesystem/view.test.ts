import t from 'tap'
import { startRig } from './rig.ts'

void t.test('a name free in a directory that is only local is taken by a directory', async (t) => {
  const rig = await startRig(t)
  await rig.mkdir('new')
  await rig.mkdir('new/from')
  await rig.write('new/from/file', 'content')
  await rig.rename('new/from', 'new/to')
  t.strictSame(await rig.list('new'), ['to'])
  t.equal(await rig.read('new/to/file'), 'content')
})
