import t from 'tap'
import { listedFile, noSignal, startRig, until } from '../rig.ts'

void t.test('a new doubt begins the quiet anew', async (t) => {
  const rig = await startRig(t)
  rig.files.fail({ verb: 'upload', error: 'network', applied: 'first' })
  rig.write('f', 'one')
  await rig.pass(100)
  await rig.pass(1000)
  for (let second = 0; second < 54; second++) await rig.pass(1000)
  rig.files.fail({ verb: 'upload', error: 'network', applied: 'late' })
  rig.write('f', 'two')
  await rig.pass(100)
  await until(() => rig.files.count('upload') === 3)
  rig.write('f', 'three')
  await rig.changes.barrier('', noSignal)
  for (let second = 0; second < 8; second++) await rig.pass(1000)
  t.match(rig.changes.status().paths, [{ state: 'suspect' }])
  rig.files.commitLate()
  t.equal(rig.files.text('f'), 'two')
  for (let second = 0; second < 60; second++) await rig.pass(1000)
  t.equal(rig.files.text('f'), 'three')
  t.same(rig.changes.status().paths, [])
})

void t.test('a barrier after a late commit was found waits for the newest to be there again', async (t) => {
  const rig = await startRig(t)
  rig.files.fail({ verb: 'upload', error: 'network', applied: 'late' })
  rig.write('f', 'first')
  await rig.pass(100)
  await until(() => rig.files.count('upload') === 1)
  await rig.pass(0)
  rig.write('f', 'second')
  await rig.changes.barrier('', noSignal)
  rig.files.commitLate()
  const gate = rig.files.hold({ verb: 'upload' })
  await rig.pass(10_000)
  await gate.arrived()
  let isReached = false
  const barrier = rig.changes.barrier('', noSignal).then(() => (isReached = true))
  await rig.pass(0)
  t.notOk(isReached)
  gate.release()
  await barrier
  t.equal(rig.files.text('f'), 'second')
})

void t.test('a late removal of a directory that was made again has it made again', async (t) => {
  const rig = await startRig(t)
  rig.files.putDirectory('d')
  rig.files.fail({ verb: 'remove', error: 'network', applied: 'late' })
  rig.changes.removeDirectory('d', true)
  await rig.pass(100)
  await until(() => rig.files.count('remove') === 1)
  await rig.pass(0)
  rig.changes.makeDirectory('d', undefined)
  await rig.changes.barrier('', noSignal)
  rig.files.commitLate()
  t.notOk(rig.files.has('d'))
  await rig.pass(10_000)
  await until(() => rig.files.has('d'))
})

void t.test('a late removal of a file that was written again has it uploaded again', async (t) => {
  const rig = await startRig(t)
  rig.files.put('f', 'old')
  rig.files.fail({ verb: 'remove', error: 'network', applied: 'late' })
  rig.changes.removeFile('f', listedFile('f', 3))
  await rig.pass(100)
  await until(() => rig.files.count('remove') === 1)
  await rig.pass(0)
  rig.write('f', 'new')
  await rig.changes.barrier('', noSignal)
  rig.files.commitLate()
  t.notOk(rig.files.has('f'))
  await rig.pass(10_000)
  await until(() => rig.files.text('f') === 'new')
})

void t.test('a late upload below a directory that was removed brings neither back for good', async (t) => {
  const rig = await startRig(t)
  rig.files.fail({ verb: 'upload', error: 'network', applied: 'late' })
  rig.changes.makeDirectory('d', undefined)
  rig.write('d/f', 'x')
  await rig.pass(100)
  await until(() => rig.files.count('upload') === 1)
  await rig.pass(0)
  rig.changes.removeFile('d/f', undefined)
  rig.changes.removeDirectory('d', false)
  await rig.changes.barrier('', noSignal)
  rig.files.commitLate()
  t.same(rig.files.paths(), ['d/', 'd/f'])
  for (let second = 0; second < 70; second++) await rig.pass(1000)
  t.same(rig.files.paths(), [])
})

void t.test('content that is the beginning of an older attempt is not taken for it', async (t) => {
  const rig = await startRig(t)
  rig.files.fail({ verb: 'upload', error: 'network', applied: 'first' })
  rig.write('f', 'longer content')
  await rig.pass(100)
  await until(() => rig.files.count('upload') === 1)
  await rig.pass(0)
  rig.write('f', 'longer')
  await rig.changes.barrier('', noSignal)
  const uploads = rig.files.count('upload')
  for (let second = 0; second < 70; second++) await rig.pass(1000)
  t.equal(rig.files.count('upload'), uploads)
  t.same(rig.changes.status().paths, [])
})

for (const mkdir of [true, false]) {
  void t.test(`a late upload in the way of a directory is taken away (mkdir: ${mkdir})`, async (t) => {
    const rig = await startRig(t, {}, { mkdir })
    rig.files.fail({ verb: 'upload', path: 'a', error: 'network', applied: 'late' })
    rig.write('a', 'late')
    await rig.pass(100)
    const gate = mkdir
      ? rig.files.hold({ verb: 'makeDirectory' })
      : rig.files.hold({ verb: 'upload', path: 'a/.mount-session-marker' })
    rig.changes.removeFile('a', undefined)
    rig.changes.makeDirectory('a', undefined)
    const barrier = rig.changes.barrier('', noSignal)
    await gate.arrived()
    rig.files.commitLate()
    gate.release()
    await barrier
    t.same(rig.files.paths(), ['a/'])
  })
}

void t.test(
  'what goes below a directory whose name a late upload took waits until that is gone',
  async (t) => {
    const rig = await startRig(t)
    rig.files.fail({ verb: 'upload', path: 'a', error: 'network', applied: 'late' })
    rig.write('a', 'late')
    await rig.pass(100)
    rig.changes.removeFile('a', undefined)
    rig.changes.makeDirectory('a', undefined)
    const gate = rig.files.hold({ verb: 'upload', path: 'a/f' })
    rig.write('a/f', 'content')
    for (let turn = 0; turn < 10 && gate.waiting === 0; turn++) await rig.pass(100)
    t.equal(gate.waiting, 1)
    rig.files.commitLate()
    gate.release()
    for (let second = 0; second < 70; second++) await rig.pass(1000)
    t.same(rig.changes.status().paths, [])
    t.same(rig.files.paths(), ['a/', 'a/f'])
    t.equal(rig.files.text('a/f'), 'content')
  },
)

void t.test('a wall clock that is set has no say in how long a doubt lasts', async (t) => {
  const hourMs = 3_600_000
  const rig = await startRig(t)
  for (const byMs of [-hourMs, 2 * hourMs]) {
    rig.files.fail({ verb: 'upload', error: 'network', applied: 'first' })
    rig.write('f', String(byMs))
    await rig.pass(100)
    await until(() => rig.changes.status().paths.some(({ state }) => state === 'backingOff'))
    rig.clock.setWall(byMs)
    await rig.changes.barrier('', noSignal)
    for (let second = 0; second < 50; second++) await rig.pass(1000)
    t.match(rig.changes.status().paths, [{ path: 'f', state: 'suspect' }])
    for (let second = 0; second < 15; second++) await rig.pass(1000)
    t.same(rig.changes.status().paths, [])
  }
})

void t.test(
  'after a restart with the wall clock set back a doubt lasts no longer than from the start',
  async (t) => {
    const rig = await startRig(t)
    rig.files.fail({ verb: 'upload', error: 'network', applied: 'first' })
    rig.write('f', 'x')
    await rig.pass(100)
    await rig.changes.barrier('', noSignal)
    rig.clock.setWall(-3_600_000)
    await rig.reopen()
    for (let second = 0; second < 65; second++) await rig.pass(1000)
    t.same(rig.changes.status().paths, [])
  },
)
