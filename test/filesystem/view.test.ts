import t from 'tap'
import { contract, reasonOf, startRig } from './rig.ts'

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

void t.test(
  'a name is made and removed where the listing is old and the service does not answer',
  async (t) => {
    const rig = await startRig(t)
    for (const name of ['old', 'going', 'moving', 'full']) rig.files.put(`d/${name}`, name)
    rig.files.putDirectory('d/empty')
    rig.files.put('d/unseen/file', 'x')
    t.strictSame(await rig.list('d'), ['empty', 'full', 'going', 'moving', 'old', 'unseen'])
    t.strictSame(await rig.list('d/empty'), [])
    await rig.pass(60_000)
    rig.files.fail({ error: 'network', times: Infinity })
    await rig.write('d/new', 'ours')
    await rig.mkdir('d/made')
    await rig.unlink('d/going')
    await rig.rmdir('d/empty')
    await rig.rename('d/moving', 'd/moved')
    t.strictSame(await rig.list('d'), ['full', 'made', 'moved', 'new', 'old', 'unseen'])
    t.equal(await rig.read('d/new'), 'ours')
    t.equal(await reasonOf(rig.list('d/unseen')), 'serviceFailed', 'what was never listed is not guessed')
    rig.files.clearFaults()
    rig.files.put('d/theirs', 'theirs')
    rig.files.put('d/new', 'theirs too')
    await rig.pass(120_000)
    await rig.pass(120_000)
    t.strictSame(
      (await rig.list('d')).filter((name) => !name.startsWith('new.conflict-')),
      ['full', 'made', 'moved', 'new', 'old', 'theirs', 'unseen'],
    )
    t.equal(rig.files.text('d/new'), 'ours')
    const conflict = rig.files.paths().find((path) => path.startsWith('d/new.conflict-'))
    t.equal(rig.files.text(conflict ?? ''), 'theirs too', 'what came to be there meanwhile is kept beside it')
  },
)
