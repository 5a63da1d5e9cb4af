import t from 'tap'
import { contract, startRig } from './rig.ts'

contract('a name free in a directory that is only local is taken by a directory', async (t, start) => {
  const rig = await start(t)
  await rig.mkdir('new')
  await rig.mkdir('new/from')
  await rig.write('new/from/file', 'content')
  await rig.rename('new/from', 'new/to')
  t.strictSame(await rig.list('new'), ['to'])
  t.equal(await rig.read('new/to/file'), 'content')
})

void t.test('what was written and not sent is reached while the service cannot be asked', async (t) => {
  const rig = await startRig(t)
  rig.files.put('theirs/below/old', 'theirs')
  t.strictSame(await rig.list('theirs/below'), ['old'])
  rig.files.fail({ error: 'network', times: Infinity })
  await rig.write('theirs/below/new', 'ours')
  await rig.pass(60_000)
  rig.files.resetCalls()
  t.equal(await rig.read('theirs/below/new'), 'ours')
  await rig.write('theirs/below/new', 'ours, again')
  t.equal(await rig.read('theirs/below/new'), 'ours, again')
  t.equal(rig.files.count('list'), 0)
})
