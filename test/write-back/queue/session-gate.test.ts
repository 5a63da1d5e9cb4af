import t from 'tap'
import { ServiceError, type ServiceErrorCode } from '../../../src/client/errors.ts'
import { silentLogger } from '../../../src/log.ts'
import { SessionGate } from '../../../src/write-back/queue/session-gate.ts'
import { FakeClock } from '../../fake-clock.ts'
import { failureOf, noSignal, startRig, until } from '../rig.ts'

void t.test(
  'it pauses once for all that were refused, probes after the backoff, and opens on any answer',
  (t) => {
    const clock = new FakeClock()
    const states: string[] = []
    const gate = new SessionGate(
      clock,
      silentLogger,
      () => 0,
      (state) => states.push(state),
    )
    const refusal = new ServiceError('unauthorized', 'no')
    gate.refused(refusal)
    gate.refused(refusal)
    t.same(states, ['paused'])
    clock.advance(500)
    gate.refused(refusal)
    clock.advance(999)
    t.same(states, ['paused', 'probing', 'paused'])
    clock.advance(1)
    gate.answered()
    t.same(states, ['paused', 'probing', 'paused', 'probing', 'open'])
    t.equal(gate.error, undefined)
    t.equal(gate.refusals, 3)
    t.end()
  },
)

for (const code of [
  'unauthorized',
  'forbidden',
  'session_not_found',
  'credential',
] satisfies ServiceErrorCode[]) {
  void t.test(
    `${code}: barriers fail at once and every time, local content goes on, and it heals by itself`,
    async (t) => {
      const rig = await startRig(t)
      rig.files.fail({ error: code, times: 1000 })
      rig.write('f', 'kept')
      t.match(await failureOf(() => rig.changes.barrier('', noSignal)), { reason: 'session' })
      t.match(await failureOf(() => rig.changes.barrier('', noSignal)), { reason: 'session' })
      t.match(rig.changes.get('f'), { kind: 'file', size: 4 })
      rig.files.clearFaults()
      await rig.pass(60_000)
      await until(() => rig.files.text('f') === 'kept')
    },
  )
}

void t.test('one refusal while a barrier waits is asked about again, and fails nothing', async (t) => {
  const rig = await startRig(t)
  rig.write('f', 'x')
  rig.files.fail({ verb: 'upload', error: 'unauthorized', times: 1 })
  await rig.changes.barrier('', noSignal)
  t.equal(rig.files.text('f'), 'x')
  t.equal(rig.files.count('upload'), 2)
})

void t.test('a sandbox that wakes for 30 s keeps a barrier waiting, which then ends well', async (t) => {
  const rig = await startRig(t, { timeoutMs: 120_000 })
  rig.files.fail({ error: 'session_not_ready', times: 1000 })
  rig.write('f', 'x')
  const over: string[] = []
  const barrier = rig.changes.barrier('', noSignal).then(() => over.push('reached'))
  for (let second = 0; second < 30; second++) await rig.pass(1000)
  t.same(over, [])
  rig.files.clearFaults()
  for (let second = 0; second < 60 && over.length === 0; second++) await rig.pass(1000)
  await barrier
  t.equal(rig.files.text('f'), 'x')
})

void t.test('a session that was made again under its name gets nothing that was meant for it', async (t) => {
  let isAnother = true
  const checkSession = (): Promise<void> =>
    isAnother
      ? Promise.reject(new ServiceError('session_not_found', 'made again under its name'))
      : Promise.resolve()
  const rig = await startRig(t, { checkSession })
  rig.files.fail({ verb: 'upload', error: 'session_not_found' })
  rig.write('f', 'x')
  t.match(await failureOf(() => rig.changes.barrier('', noSignal)), { reason: 'session' })
  for (let second = 0; second < 10; second++) await rig.pass(1000)
  t.match(await failureOf(() => rig.changes.barrier('', noSignal)), { message: /made again/ })
  t.equal(rig.files.count('upload'), 1)
  t.same(rig.files.paths(), [])
  isAnother = false
  await rig.changes.barrier('', noSignal)
  t.equal(rig.files.text('f'), 'x')
})
