import t from 'tap'
import { reasonOf, startRig } from './rig.ts'

void t.test('a truncation that cannot have the bytes it keeps leaves nothing open', async (t) => {
  const rig = await startRig(t)
  rig.files.put('remote', 'content')
  const before = rig.fs.nodes
  const node = await rig.node('remote')
  rig.files.fail({ verb: 'download', path: 'remote', error: 'not_found', times: 9 })
  t.not(await reasonOf(rig.truncate('remote', 3)), 'none')
  rig.fs.forget(node, 2)
  t.equal(rig.fs.nodes, before)
  rig.files.clearFaults()
  await rig.truncate('remote', 3)
  t.equal(await rig.read('remote'), 'con')
})
