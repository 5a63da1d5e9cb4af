import { contract, reasonOf } from './rig.ts'

contract('a truncation that cannot have the bytes it keeps leaves nothing open', async (t, start) => {
  const rig = await start(t)
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
