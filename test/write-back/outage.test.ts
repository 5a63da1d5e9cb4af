/**
 * The service does not answer for long, or answers every call with an error: what waits for it ends, what is
 * written meanwhile stays and goes once.
 */
import t from 'tap'
import { ServiceError } from '../../src/client/errors.ts'
import type { SessionFiles } from '../../src/client/session-files.ts'
import { MemoryFiles } from '../contract/memory-files.ts'
import { failureOf, noSignal, startRig, until } from './rig.ts'

for (const error of ['network', 'server_error', 'throttled'] as const) {
  void t.test(`${error} on every call is no progress: a barrier ends, and the next one too`, async (t) => {
    const rig = await startRig(t, { timeoutMs: 120_000 })
    rig.files.fail({ error, times: Infinity })
    // many, so that hardly a second is without a failure
    for (let number = 0; number < 100; number++) rig.write(`f${number}`, 'x')
    for (let round = 0; round < 2; round++) {
      const from = rig.clock.now()
      let ended: number | undefined
      const barrier = failureOf(() => rig.changes.barrier('', noSignal)).finally(() => {
        ended = rig.clock.now()
      })
      for (let second = 0; second < 200 && ended === undefined; second++) await rig.pass(1000)
      t.equal(ended && ended - from, 120_000)
      t.match(await barrier, { reason: 'timedOut', message: /no progress for 120 s/ })
    }
  })
}

void t.test('bytes of attempts that fail again and again are no progress either', async (t) => {
  const files = new MemoryFiles()
  const upload: SessionFiles['upload'] = (path, _source, options) => {
    options?.onProgress?.(50)
    return Promise.reject(new ServiceError('network', `upload ${path}: cut`, { ambiguous: true }))
  }
  const rig = await startRig(t, { timeoutMs: 10_000, files: Object.assign(files, { upload }) })
  rig.write('f', 'x'.repeat(100))
  const over: unknown[] = []
  const barrier = failureOf(() => rig.changes.barrier('', noSignal))
  void barrier.then((error) => over.push(error))
  for (let second = 0; second < 60 && over.length === 0; second++) {
    rig.write(`new-${second}`, 'x'.repeat(100))
    await rig.pass(1000)
  }
  t.match(await barrier, { reason: 'timedOut' })
})

void t.test('a barrier does not come back before the service wants it', async (t) => {
  const rig = await startRig(t)
  const error = new ServiceError('throttled', 'too many', { status: 429, retryAfterMs: 5000 })
  rig.files.fail({ verb: 'upload', error })
  rig.write('f', 'x')
  await rig.pass(100)
  const barrier = rig.changes.barrier('', noSignal)
  for (let second = 0; second < 4; second++) await rig.pass(1000)
  t.equal(rig.files.count('upload'), 1)
  await rig.pass(1000)
  await barrier
  t.equal(rig.files.text('f'), 'x')
})

void t.test('a barrier tries at once what backs off, also when one before it has failed', async (t) => {
  const rig = await startRig(t, { timeoutMs: 5000 })
  rig.files.fail({ error: 'network', times: Infinity })
  rig.write('f', 'x')
  for (let round = 0; round < 2; round++) {
    for (let second = 0; second < 60; second++) await rig.pass(1000)
    const failed = failureOf(() => rig.changes.barrier('', noSignal))
    for (let second = 0; second < 6; second++) await rig.pass(1000)
    t.match(await failed, { reason: 'timedOut' })
  }
  rig.files.clearFaults()
  await rig.changes.barrier('', noSignal)
  t.equal(rig.files.text('f'), 'x')
})

void t.test('ten minutes of writing without a link: all of it is kept, and goes once', async (t) => {
  const rig = await startRig(t)
  rig.files.put('config', 'old')
  rig.files.put('moved', 'moving')
  rig.files.put('gone', 'going')
  const listed = (name: string) => ({ name, isDirectory: false, size: 6, modifiedSeconds: 0 })
  rig.files.fail({ error: 'network', times: Infinity })
  const log = rig.changes.create('log', undefined)
  log.retain()
  rig.changes.renameFile('moved', 'd/moved', listed('moved'), undefined)
  rig.changes.removeFile('gone', { ...listed('gone'), size: 5 })
  for (let round = 0; round < 120; round++) {
    log.write(undefined, Buffer.from(`line ${round}\n`))
    log.flush()
    rig.write(`new/${round % 50}`, `file ${round}`)
    rig.write('config.tmp', `config ${round}`)
    rig.changes.renameFile('config.tmp', 'config', undefined, { ...listed('config'), size: 3 })
    await rig.pass(5000)
  }
  t.equal(rig.files.text('config'), 'old')
  t.equal(rig.files.text('moved'), 'moving')
  t.ok(rig.files.calls.length < 120 * 16, `${rig.files.calls.length} calls, backed off`)
  rig.files.clearFaults()
  rig.files.resetCalls()
  await rig.pass(60_000)
  await until(() => rig.changes.status().paths.every(({ state }) => state === 'suspect'))
  const uploads = rig.files.calls.filter(({ verb }) => verb === 'upload').map(({ path }) => path)
  t.equal(uploads.length, new Set(uploads).size, 'each once')
  const expected = ['config', 'd/', 'd/moved', 'log', 'new/']
  for (let number = 0; number < 50; number++) expected.push(`new/${number}`)
  t.same(rig.files.paths(), expected.sort())
  t.equal(rig.files.text('config'), 'config 119')
  t.equal(rig.files.text('new/19'), 'file 119')
  t.match(rig.files.text('log'), /^line 0\n[^]*\nline 119\n$/)
  t.equal(rig.files.text('d/moved'), 'moving')
  for (let minute = 0; minute < 3; minute++) await rig.pass(60_000)
  await until(() => rig.changes.status().paths.length === 0)
  log.release()
})
