import t from 'tap'
import { failureOf, noSignal, startRig, until } from '../rig.ts'

void t.test('an upload of ours that was cut is not taken for somebody else', async (t) => {
  const rig = await startRig(t)
  rig.files.put('f', 'base')
  await rig.listings.list('', { maxAgeMs: 0 })
  rig.files.fail({ verb: 'upload', error: 'network', applied: 'part' })
  const copy = rig.changes.create('f', { name: 'f', isDirectory: false, size: 4, modifiedSeconds: 0 })
  copy.retain()
  copy.write(0, Buffer.from('long content'))
  copy.flush()
  copy.release()
  await rig.pass(100)
  await until(() => rig.files.text('f') === 'long c')
  await rig.pass(0)
  // written again: the attempt's own bytes are still known
  rig.write('f', 'other')
  await rig.pass(5000)
  await rig.changes.barrier('', noSignal)
  t.same(rig.files.paths(), ['f'])
  t.equal(rig.files.text('f'), 'other')
})

void t.test('after a crash a cut upload of ours does not take the name', async (t) => {
  const rig = await startRig(t)
  rig.files.fail({ verb: 'upload', error: 'network', applied: 'part' })
  rig.write('f', 'long content')
  await rig.pass(100)
  await until(() => rig.files.text('f') === 'long c')
  await rig.pass(0)
  await rig.reopen()
  await rig.changes.barrier('', noSignal)
  t.same(rig.files.paths(), ['f'])
  t.equal(rig.files.text('f'), 'long content')
})

void t.test(
  'a version of somebody else that cannot be saved parks ours, and is not overwritten',
  async (t) => {
    const rig = await startRig(t, { maxFileBytes: 10 })
    rig.files.put('f', 'base')
    await rig.listings.list('', { maxAgeMs: 0 })
    rig.write('f', 'ours')
    rig.files.put('f', 'theirs is over the limit')
    await rig.pass(3000)
    t.match(await failureOf(() => rig.changes.barrier('f', noSignal)), { reason: 'parked', path: 'f' })
    t.equal(rig.files.text('f'), 'theirs is over the limit')
    const long = 'n'.repeat(250)
    rig.write(long, 'ours')
    rig.files.put(long, 'theirs')
    await rig.listings.list('', { maxAgeMs: 0 })
    t.match(await failureOf(() => rig.changes.barrier(long, noSignal)), { reason: 'parked', path: long })
    t.equal(rig.files.text(long), 'theirs')
  },
)

void t.test('conflict=overwrite: the last writer wins, without a look', async (t) => {
  const rig = await startRig(t, { conflict: 'overwrite' })
  rig.files.put('f', 'theirs')
  rig.write('f', 'ours')
  await rig.changes.barrier('', noSignal)
  t.same(rig.files.log(), ['upload f'])
  t.same(rig.files.paths(), ['f'])
})

void t.test('however fresh a listing is, one begun after all were closed is asked for', async (t) => {
  const rig = await startRig(t)
  rig.files.put('f', 'base')
  await rig.listings.list('', { maxAgeMs: 0 })
  rig.files.resetCalls()
  for (let number = 0; number < 20; number++) rig.write(`f${number}`, 'x')
  await rig.changes.barrier('', noSignal)
  t.equal(rig.files.count('list'), 1)
  t.equal(rig.files.count('upload'), 20)
})
