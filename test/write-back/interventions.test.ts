import t from 'tap'
import type { FailpointName } from '../../src/write-back/disk/failpoints.ts'
import { failureOf, listedFile, noSignal, startRig, until } from './rig.ts'

void t.test('who waits for what is given up is not told that the service has it', async (t) => {
  const rig = await startRig(t)
  rig.files.fail({ verb: 'upload', error: 'server_error', times: 1000 })
  const copy = rig.changes.create('f', undefined)
  copy.retain()
  copy.write(0, Buffer.from('x'))
  rig.changes.makeDirectory('d', undefined)
  rig.files.fail({ verb: 'makeDirectory', error: 'server_error', times: 1000 })
  const waits = [copy.barrier(noSignal), rig.changes.barrier('d', noSignal)].map((wait) =>
    failureOf(() => wait),
  )
  await until(() => rig.changes.status().paths.every(({ state }) => state === 'backingOff'))
  t.equal(rig.changes.discardWithin(''), 2)
  for (const wait of waits) t.match(await wait, { reason: 'parked', message: /given up/ })
  copy.release()
})

void t.test('a journal that cannot be written gives nothing up, and the change goes on', async (t) => {
  let isFull = false
  const failpoint = (name: FailpointName): void => {
    if (isFull && name.startsWith('journal.'))
      throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
  }
  const rig = await startRig(t, { failpoint })
  rig.files.put('old', 'content')
  const refusal = { verb: 'upload', error: 'server_error', times: 1 } as const
  rig.files.fail(refusal)
  rig.changes.renameFile('old', 'new', listedFile('old', 7), undefined)
  await rig.pass(1000)
  await until(() => rig.changes.status().paths.some(({ state }) => state === 'backingOff'))
  isFull = true
  t.match(await failureOf(() => rig.changes.discardWithin('new')), { reason: 'diskFull' })
  isFull = false
  for (let second = 0; second < 5; second++) await rig.pass(1000)
  await rig.changes.barrier('', noSignal)
  t.same(rig.files.paths(), ['new'])
  t.equal(rig.files.text('new'), 'content')
})
