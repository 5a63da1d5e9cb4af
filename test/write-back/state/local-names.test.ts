import t from 'tap'
import { namesMatching } from '../../../src/write-back/state/local-names.ts'
import { listedFile, noSignal, startRig } from '../rig.ts'

void t.test('patterns are those of the shell, and nothing else in them is special', (t) => {
  const matches = namesMatching(['.*.sw?', '.#*', '4913', 'a+b'])
  for (const name of ['.notes.txt.swp', '.x.swo', '.#lock', '4913', 'a+b']) t.ok(matches(name), name)
  for (const name of ['notes.swp', '.swp', '.x.swpx', '49130', 'x4913', 'aab', '#lock']) {
    t.notOk(matches(name), name)
  }
  t.end()
})

void t.test('a scratch file never travels, survives a restart, and holds up no barrier', async (t) => {
  const rig = await startRig(t, { localNames: ['.*.swp'] })
  rig.write('.f.swp', 'scratch')
  await rig.changes.barrier('', noSignal)
  await rig.reopen()
  t.match(rig.changes.get('.f.swp'), { kind: 'file', size: 7 })
  await rig.pass(60_000)
  t.same(rig.files.log(), [])
  rig.changes.removeFile('.f.swp', undefined)
  t.equal(rig.changes.get('.f.swp'), undefined)
})

void t.test('a file of the service renamed to a scratch name comes here before it goes there', async (t) => {
  const rig = await startRig(t, { localNames: ['.*.swp'] })
  rig.files.put('f', 'content')
  rig.changes.renameFile('f', '.f.swp', listedFile('f', 7), undefined)
  await rig.pass(1000)
  await rig.changes.barrier('', noSignal)
  t.same(rig.files.paths(), [])
  const local = rig.changes.get('.f.swp')
  t.match(local, { kind: 'file', size: 7, content: { from: 'spool' } })
})
