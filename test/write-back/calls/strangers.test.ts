import t, { type Test } from 'tap'
import { noSignal, startRig } from '../rig.ts'

const ofFile = { name: 'a', isDirectory: false, size: 1, modifiedSeconds: 0 }

/** `rm -r d` of a directory with one file, on a service that would take along whatever else is in it. */
async function removing(t: Test) {
  const rig = await startRig(t, {}, { takesAlong: true })
  rig.files.put('d/a', 'a')
  await rig.listings.list('')
  await rig.listings.list('d')
  const deleting = rig.files.hold({ verb: 'remove', path: 'd/a' })
  rig.changes.removeFile('d/a', ofFile)
  rig.changes.removeDirectory('d', true)
  await rig.pass(1000)
  await deleting.arrived()
  return { rig, deleting }
}

void t.test('a directory goes after one look that was begun when the last name in it was gone', async (t) => {
  const { rig, deleting } = await removing(t)
  rig.files.resetCalls()
  deleting.release()
  await rig.changes.barrier('', noSignal)
  t.same(rig.files.paths(), [])
  t.same(
    rig.files.calls.map(({ verb, path }) => `${verb} ${path}`),
    ['list d', 'remove d'],
  )
})

for (const name of ['f', 'below/f']) {
  void t.test(`what the agent puts into a directory that is being removed stays: ${name}`, async (t) => {
    const { rig, deleting } = await removing(t)
    rig.files.put(`d/${name}`, 'of the agent')
    deleting.release()
    await rig.changes.barrier('', noSignal)
    t.equal(rig.files.text(`d/${name}`), 'of the agent')
    t.notOk(rig.files.has('d/a'))
    t.equal(rig.changes.get('d'), undefined, 'it is shown again')
  })
}

void t.test('what the agent puts into a directory that is made again stays', async (t) => {
  const { rig, deleting } = await removing(t)
  rig.changes.makeDirectory('d', undefined)
  rig.files.put('d/f', 'of the agent')
  deleting.release()
  await rig.pass(1000)
  await rig.changes.barrier('', noSignal)
  t.equal(rig.files.text('d/f'), 'of the agent')
})

void t.test('a file does not take the place of a directory that the agent puts something into', async (t) => {
  const { rig, deleting } = await removing(t)
  rig.write('d', 'a file now')
  rig.files.put('d/f', 'of the agent')
  deleting.release()
  await t.rejects(rig.changes.barrier('', noSignal), {
    reason: 'parked',
    message: /somebody has put f into it/,
  })
  t.equal(rig.files.text('d/f'), 'of the agent')
})
