import { once } from 'node:events'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { ask } from '../../src/control/control-client.ts'
import { startControlServer } from '../../src/control/control-server.ts'
import { openSocketAddress } from '../../src/control/socket-path.ts'
import { silentLogger } from '../../src/log.ts'
import { fakeHandlers, leftover, startFake, statusReport } from './rig.ts'

void t.test('status is answered, below a path longer than a socket address may be', async (t) => {
  const stateDirectory = await startFake(t, fakeHandlers())
  t.ok(stateDirectory.length > 108)
  t.same(await ask(stateDirectory, { method: 'status' }), statusReport())
})

void t.test('status is answered while a sync hangs', async (t) => {
  const started = Promise.withResolvers<undefined>()
  const hang = Promise.withResolvers<undefined>()
  const stateDirectory = await startFake(
    t,
    fakeHandlers({
      sync: async () => {
        started.resolve(undefined)
        await hang.promise
      },
    }),
  )
  const sync = ask(stateDirectory, { method: 'sync', path: '' })
  await started.promise
  t.equal((await ask(stateDirectory, { method: 'status' })).pid, 4711)
  hang.resolve(undefined)
  t.equal(await sync, null)
})

void t.test('progress arrives in order, before the result', async (t) => {
  const stateDirectory = await startFake(
    t,
    fakeHandlers({
      unmount: (force, _signal, onProgress) => {
        t.equal(force, true)
        onProgress({ paths: 2, bytes: 20 })
        onProgress({ paths: 1, bytes: 10, waitingFor: 'a new login' })
        return Promise.resolve([leftover])
      },
    }),
  )
  const seen: number[] = []
  const left = await ask(
    stateDirectory,
    { method: 'unmount', force: true },
    { onProgress: ({ paths }) => seen.push(paths) },
  )
  t.same(seen, [2, 1])
  t.same(left, [leftover])
})

void t.test('taking a request back aborts its handler', async (t) => {
  const aborted = Promise.withResolvers<undefined>()
  const started = Promise.withResolvers<undefined>()
  const stateDirectory = await startFake(
    t,
    fakeHandlers({
      sync: (_path, signal) => {
        started.resolve(undefined)
        signal.addEventListener('abort', () => aborted.resolve(undefined))
        return aborted.promise
      },
    }),
  )
  const abort = new AbortController()
  const sync = ask(stateDirectory, { method: 'sync', path: 'a' }, { signal: abort.signal })
  await started.promise
  abort.abort(new Error('enough'))
  await t.rejects(sync, { message: 'enough' })
  await aborted.promise
})

void t.test('a request that is taken back while it connects is never sent', async (t) => {
  let asked = 0
  const stateDirectory = await startFake(
    t,
    fakeHandlers({
      sync: () => {
        asked++
        return Promise.resolve()
      },
    }),
  )
  const abort = new AbortController()
  const sync = ask(stateDirectory, { method: 'sync', path: '' }, { signal: abort.signal })
  abort.abort(new Error('enough'))
  await t.rejects(sync, { message: 'enough' })
  /* what comes after it is answered after it */
  await ask(stateDirectory, { method: 'status' })
  t.equal(asked, 0)
})

void t.test('a failure carries its code and its message', async (t) => {
  const busy = Object.assign(new Error('is busy'), { code: 'busy' })
  const late = Object.assign(new Error('no progress'), { reason: 'timedOut' })
  const stateDirectory = await startFake(
    t,
    fakeHandlers({
      unmount: () => Promise.reject(busy),
      sync: () => Promise.reject(late),
      retry: () => {
        throw new Error('surprise')
      },
    }),
  )
  const refused = { name: 'ControlError', code: 'refused' }
  await t.rejects(ask(stateDirectory, { method: 'unmount', force: false }), {
    ...refused,
    reason: 'busy',
    message: 'is busy',
  })
  await t.rejects(ask(stateDirectory, { method: 'sync', path: '' }), { ...refused, reason: 'timedOut' })
  await t.rejects(ask(stateDirectory, { method: 'retry' }), {
    ...refused,
    reason: 'failed',
    message: 'surprise',
  })
})

void t.test('what is not a request is refused, and an endless one too', async (t) => {
  const stateDirectory = await startFake(t, fakeHandlers())
  for (const sent of ['nonsense\n', '{"method":"format"}\n', 'x'.repeat(70_000)]) {
    const address = openSocketAddress(stateDirectory)
    const socket = createConnection(address.path)
    await once(socket, 'connect')
    address.close()
    let answer = ''
    socket.on('data', (data) => (answer += data.toString()))
    socket.write(sent)
    await once(socket, 'close')
    t.match(JSON.parse(answer), { event: 'error', code: 'failed' }, sent.slice(0, 20))
  }
})

void t.test('closing answers what is in hand and removes the socket', async (t) => {
  const stateDirectory = t.testdir()
  const started = Promise.withResolvers<undefined>()
  const hang = Promise.withResolvers<undefined>()
  const server = await startControlServer(
    stateDirectory,
    fakeHandlers({
      sync: async () => {
        started.resolve(undefined)
        await hang.promise
      },
    }),
    silentLogger,
  )
  const sync = ask(stateDirectory, { method: 'sync', path: '' })
  await started.promise
  const closed = server.close()
  hang.resolve(undefined)
  t.equal(await sync, null)
  await closed
  t.notOk(existsSync(join(stateDirectory, 'control')))
  await t.rejects(ask(stateDirectory, { method: 'status' }), { code: 'notRunning' })
})

void t.test('the socket of a killed predecessor is replaced', async (t) => {
  const stateDirectory = join(t.testdir(), 'state')
  mkdirSync(stateDirectory)
  writeFileSync(join(stateDirectory, 'control'), '')
  await t.rejects(ask(stateDirectory, { method: 'status' }), { code: 'notRunning' })
  const server = await startControlServer(stateDirectory, fakeHandlers(), silentLogger)
  t.equal((await ask(stateDirectory, { method: 'status' })).pid, 4711)
  await server.close()
})

void t.test('a mount that does not answer in time is silent', async (t) => {
  const hang = Promise.withResolvers<number>()
  const stateDirectory = await startFake(t, fakeHandlers({ retry: () => hang.promise }))
  await t.rejects(ask(stateDirectory, { method: 'retry' }, { answerWithinMs: 1 }), { code: 'silent' })
  hang.resolve(0)
})
