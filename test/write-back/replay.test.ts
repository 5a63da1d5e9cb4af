import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { silentLogger } from '../../src/log.ts'
import { listedFile, noSignal, quiet, startRig, until, type Rig } from './rig.ts'
import { damageSpooled, spooledIn } from './spooled-files.ts'

const spooled = (rig: Rig): string[] => spooledIn(rig.directory)

const setAside = (rig: Rig) => rig.changes.status().setAside

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
    damageSpooled(rig.directory, generation, damage)
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
  const said: object[] = []
  const logger = { ...silentLogger, error: (fields: object) => said.push(fields) }
  const rig = await startRig(t, { logger })
  const copy = rig.changes.create('f', undefined)
  copy.retain()
  copy.write(0, Buffer.from('half'))
  await rig.reopen({ boot: 'boot-2' })
  t.equal(rig.changes.get('f'), undefined)
  t.match(setAside(rig), [{ path: 'f' }])
  await rig.reopen({ boot: 'boot-3' })
  t.match(setAside(rig), [{ path: 'f' }])
  t.same(said, [{ path: 'f' }])
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
  const warned: object[] = []
  const logger = {
    ...silentLogger,
    warn: (fields: object, message: string) => warned.push({ fields, message }),
  }
  const rig = await startRig(t, { logger })
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
  t.same(warned, [
    {
      fields: { path: 'f', heirs: ['g'] },
      message: 'the old name stays: what it became was set aside',
    },
  ])
})

void t.test('what was written under the old name since then goes on', async (t) => {
  const rig = await startRig(t)
  rig.files.put('f', 'content')
  rig.files.fail({ verb: 'upload', error: 'network', times: 99 })
  rig.changes.renameFile('f', 'g', listedFile('f', 7), undefined)
  await rig.pass(1000)
  await until(() => rig.files.count('download') > 0 && spooled(rig).length > 0)
  await quiet()
  rig.write('f', 'written since')
  await rig.reopen({ boot: 'boot-2' })
  t.match(setAside(rig), [{ path: 'g' }])
  rig.files.clearFaults()
  await rig.changes.barrier('', noSignal)
  t.same(rig.files.paths(), ['f'])
  t.equal(rig.files.text('f'), 'written since')
})

void t.test('what is set aside leaves alone what has its name since', async (t) => {
  const rig = await startRig(t)
  rig.changes.create('f', undefined).write(0, Buffer.from('half'))
  await rig.reopen({ boot: 'boot-2' })
  const before = setAside(rig)
  t.match(before, [{ path: 'f', at: rig.clock.wallMs() }])
  rig.files.fail({ verb: 'upload', error: 'throttled', times: 99 })
  rig.write('f', 'whole')
  for (let run = 0; run < 2; run++) {
    await rig.pass(5000)
    await rig.reopen({ boot: 'boot-2' })
    t.match(rig.changes.get('f'), { kind: 'file', size: 5 })
  }
  t.same(setAside(rig), before)
  rig.files.clearFaults()
  await rig.changes.barrier('', noSignal)
  t.equal(rig.files.text('f'), 'whole')
})

void t.test('what an earlier run left is told, and how long it has been waiting', async (t) => {
  const told: object[] = []
  const logger = {
    ...silentLogger,
    info: (fields: object, message: string) => told.push({ fields, message }),
  }
  const rig = await startRig(t, { logger })
  await rig.reopen()
  t.same(told, [], 'nothing was left')
  rig.files.fail({ verb: 'upload', error: 'throttled', times: 99 })
  rig.write('f', 'content')
  rig.write('g', 'content')
  await rig.pass(5000)
  await rig.reopen()
  t.same(told, [{ fields: { paths: 2 }, message: 'an earlier run left changes: they are shown and go on' }])
  t.match(rig.changes.status().paths, [
    { path: 'f', ageMs: 5000 },
    { path: 'g', ageMs: 5000 },
  ])
})

void t.test(
  'a file of the service goes on its way although a new one of its name would stay here',
  async (t) => {
    const rig = await startRig(t, { localNames: ['*.local'] })
    rig.files.put('f.local', 'before')
    rig.changes.create('f.local', listedFile('f.local', 6)).write(0, Buffer.from('content'))
    await rig.reopen()
    await rig.changes.barrier('', noSignal)
    t.equal(rig.files.text('f.local'), 'content')
  },
)

void t.test('what the next run has sent gives way to a listing, and leaves the spool', async (t) => {
  const rig = await startRig(t)
  rig.files.put('old', 'base')
  rig.write('new', 'content')
  rig.changes.create('old', listedFile('old', 4)).write(0, Buffer.from('content'))
  await rig.reopen()
  await rig.changes.barrier('', noSignal)
  await rig.listings.list('', { maxAgeMs: 0 })
  t.equal(rig.changes.get('new'), undefined)
  t.equal(rig.changes.get('old'), undefined)
  await rig.pass(2000)
  await until(() => spooled(rig).length === 0)
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

void t.test('a barrier waits for what an earlier run removed and made', async (t) => {
  const rig = await startRig(t)
  rig.files.put('f', 'content')
  rig.changes.removeFile('f', listedFile('f', 7))
  rig.changes.makeDirectory('d', undefined)
  const gates = [rig.files.hold({ verb: 'remove' }), rig.files.hold({ verb: 'makeDirectory' })]
  await rig.reopen()
  let confirmed = false
  const barrier = rig.changes.barrier('', noSignal).then(() => {
    confirmed = true
  })
  for (const gate of gates) {
    await gate.arrived()
    await quiet()
    t.equal(confirmed, false)
    gate.release()
  }
  await barrier
  t.same(rig.files.paths(), ['d/'])
})

void t.test('what one run left behind and the next one confirmed is not done again', async (t) => {
  const rig = await startRig(t)
  rig.files.put('gone', 'content')
  rig.write('f', 'ours')
  rig.changes.makeDirectory('d', undefined)
  rig.changes.removeFile('gone', listedFile('gone', 7))
  await rig.reopen()
  await rig.changes.barrier('', noSignal)
  rig.files.put('f', 'theirs')
  rig.files.put('gone', 'again')
  rig.files.take('d')
  rig.files.resetCalls()
  await rig.reopen()
  await rig.changes.barrier('', noSignal)
  await rig.pass(5000)
  t.same(rig.files.log(), [])
  t.same(setAside(rig), [])
  t.equal(rig.changes.get('f'), undefined)
})

void t.test('what was never sent is made and removed by the next run as by the first', async (t) => {
  const rig = await startRig(t)
  rig.files.fail({ verb: 'upload', error: 'throttled', times: 2 })
  rig.files.fail({ verb: 'makeDirectory', error: 'throttled' })
  rig.write('a', 'content')
  rig.changes.makeDirectory('d', undefined)
  rig.write('d/f', 'content')
  rig.changes.makeDirectory('made', undefined)
  await rig.pass(100)
  t.equal(rig.files.count('upload'), 2)
  t.equal(rig.files.count('makeDirectory'), 1)
  const gate = rig.files.hold({ verb: 'upload' })
  await rig.reopen({ uploads: 1 })
  await gate.arrived()
  rig.changes.removeFile('d/f', undefined)
  rig.changes.removeDirectory('d', false)
  gate.release()
  await rig.changes.barrier('', noSignal)
  t.same(rig.files.paths(), ['a', 'made/'])
  t.equal(rig.files.count('remove'), 0)
})

void t.test('a doubt goes on through a restart: a late upload of the run before is found', async (t) => {
  const rig = await startRig(t)
  rig.files.fail({ verb: 'upload', error: 'network', applied: 'late' })
  rig.write('f', 'first')
  await rig.pass(100)
  rig.write('f', 'newest')
  await rig.changes.barrier('', noSignal)
  await rig.reopen()
  rig.files.commitLate()
  t.equal(rig.files.text('f'), 'first')
  for (let second = 0; second < 20; second++) await rig.pass(1000)
  t.equal(rig.files.text('f'), 'newest')
})

void t.test('a doubt that grew old while nothing was mounted ends with the first look', async (t) => {
  const rig = await startRig(t)
  rig.files.fail({ verb: 'upload', error: 'network', applied: 'first' })
  rig.write('f', 'content')
  await rig.pass(100)
  await rig.changes.barrier('', noSignal)
  t.match(rig.changes.status().paths, [{ path: 'f', state: 'suspect' }])
  await rig.changes.close()
  rig.clock.advance(100_000)
  await rig.reopen()
  await rig.changes.barrier('', noSignal)
  await rig.pass(0)
  await until(() => rig.changes.status().paths.length === 0)
})
