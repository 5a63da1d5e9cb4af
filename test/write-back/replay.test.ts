import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Journal } from '../../src/write-back/disk/journal.ts'
import { listedFile, noSignal, quiet, startRig, until, type Rig } from './rig.ts'

const spooled = (rig: Rig): string[] => readdirSync(join(rig.directory, 'spool'))

function setAside(rig: Rig): { path: string; reason: string }[] {
  const journal = new Journal({ file: join(rig.directory, 'journal.db'), boot: '' })
  try {
    return journal.listSetAside()
  } finally {
    journal.close()
  }
}

void t.test('after another boot what was closed and is whole goes on', async (t) => {
  const rig = await startRig(t)
  rig.write('tmp', 'content')
  await quiet()
  // the pattern of every careful program
  rig.changes.renameFile('tmp', 'f', undefined, undefined)
  await rig.reopen({ boot: 'boot-2' })
  t.match(rig.changes.get('f'), { kind: 'file', size: 7 })
  await rig.changes.barrier('', noSignal)
  t.equal(rig.files.text('f'), 'content')
  t.same(setAside(rig), [])
})

for (const [name, damage] of [
  ['short', 'con'],
  ['zeroed', '\0'.repeat(7)],
  ['empty', ''],
] as const) {
  void t.test(`after another boot a ${name} spool file is set aside, and never uploaded`, async (t) => {
    const rig = await startRig(t)
    rig.write('f', 'content')
    await quiet()
    const [generation = ''] = spooled(rig)
    await rig.changes.close()
    writeFileSync(join(rig.directory, 'spool', generation), damage)
    await rig.reopen({ boot: 'boot-2' })
    t.equal(rig.changes.get('f'), undefined)
    await rig.changes.barrier('', noSignal)
    await rig.pass(5000)
    t.same(rig.files.paths(), [])
    t.match(setAside(rig), [{ path: 'f' }])
    t.same(spooled(rig), [generation])
    await rig.reopen({ boot: 'boot-2' })
    t.same(spooled(rig), [generation])
  })
}

void t.test('after another boot what was still open is set aside', async (t) => {
  const rig = await startRig(t)
  const copy = rig.changes.create('f', undefined)
  copy.retain()
  copy.write(0, Buffer.from('half'))
  await rig.reopen({ boot: 'boot-2' })
  t.equal(rig.changes.get('f'), undefined)
  t.match(setAside(rig), [{ path: 'f' }])
})

void t.test('what is written after another boot survives a crash in that one', async (t) => {
  const rig = await startRig(t)
  rig.files.fail({ verb: 'upload', error: 'network', times: 99 })
  rig.write('f', 'content')
  await quiet()
  await rig.reopen({ boot: 'boot-2' })
  const local = rig.changes.get('f')
  if (local?.kind !== 'file' || local.content.from !== 'spool') throw new Error('not in the spool')
  local.content.copy.retain()
  local.content.copy.write(0, Buffer.from('CHANGED'))
  await rig.reopen({ boot: 'boot-2' })
  rig.files.clearFaults()
  await rig.changes.barrier('', noSignal)
  t.equal(rig.files.text('f'), 'CHANGED')
  t.same(setAside(rig), [])
})

void t.test('what was renamed to a name that is set aside keeps its old one on the service', async (t) => {
  const rig = await startRig(t)
  rig.files.put('f', 'content')
  rig.files.put('g', 'was here')
  rig.files.fail({ verb: 'upload', error: 'network', times: 99 })
  rig.changes.renameFile('f', 'g', listedFile('f', 7), listedFile('g', 8))
  await rig.pass(1000)
  await until(() => rig.files.count('download') > 0 && spooled(rig).length > 0)
  await quiet()
  await rig.reopen({ boot: 'boot-2' })
  rig.files.clearFaults()
  await rig.changes.barrier('', noSignal)
  await rig.pass(5000)
  t.equal(rig.files.text('f'), 'content')
})

void t.test('a number of a generation that a row speaks of is not given to other bytes', async (t) => {
  const rig = await startRig(t)
  rig.write('a', 'first')
  await rig.changes.barrier('', noSignal)
  rig.files.fail({ verb: 'remove', error: 'network', times: 99 })
  rig.changes.removeFile('a', undefined)
  // the first lets go of what was made durable meanwhile
  for (let round = 0; round < 3; round++) await rig.pass(2000)
  await until(() => spooled(rig).length === 0)
  await rig.reopen()
  rig.write('a', 'second')
  for (let round = 0; round < 3; round++) await rig.pass(1000)
  await until(() => rig.files.text('a') === 'second')
})

void t.test(
  'an upload that was confirmed, but not to us, is not taken for a conflict by the next run',
  async (t) => {
    const rig = await startRig(t)
    rig.files.fail({ verb: 'upload', error: 'network', applied: 'first' })
    rig.write('f', 'content')
    await rig.pass(100)
    await until(() => rig.files.text('f') === 'content')
    await rig.reopen()
    await rig.changes.barrier('', noSignal)
    t.same(rig.files.paths(), ['f'])
  },
)

void t.test(
  'what was removed while its upload was refused is not removed again by the next run',
  async (t) => {
    const rig = await startRig(t)
    rig.files.fail({ verb: 'upload', error: 'bad_request' })
    const gate = rig.files.hold({ verb: 'upload' })
    rig.write('f', 'ours')
    await rig.pass(100)
    await gate.arrived()
    rig.changes.removeFile('f', undefined)
    gate.release()
    await until(() => rig.changes.status().paths.length === 0)
    rig.files.put('f', 'theirs')
    await rig.reopen()
    await rig.changes.barrier('', noSignal)
    t.equal(rig.files.text('f'), 'theirs')
    t.equal(rig.files.count('remove'), 0)
  },
)

void t.test('a spool file that no row speaks of is gone after the next start', async (t) => {
  const rig = await startRig(t)
  writeFileSync(join(rig.directory, 'spool', '77'), 'left by a crash before its row')
  await rig.reopen()
  await rig.pass(2000)
  await until(() => !existsSync(join(rig.directory, 'spool', '77')))
})
