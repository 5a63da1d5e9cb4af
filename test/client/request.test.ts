import t from 'tap'
import { startCalls } from '../../src/client/lanes.ts'
import type { FinishedCall } from '../../src/client/call.ts'
import { ServiceError } from '../../src/client/errors.ts'
import { sessionFiles } from '../../src/client/remote-files.ts'
import { silentLogger } from '../../src/log.ts'
import { FakeClock } from '../fake-clock.ts'
import { bytes, cut, json, refusal, reset, ScriptedService, silence, status } from './scripted-service.ts'

const [agent, session] = ['my-agent', 'session-1']
const content = Buffer.from('content')

async function read(body: AsyncIterable<Uint8Array>): Promise<string> {
  const pieces: Uint8Array[] = []
  for await (const piece of body) pieces.push(piece)
  return Buffer.concat(pieces).toString()
}

async function failure(call: Promise<unknown>): Promise<ServiceError> {
  const error: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error instanceof ServiceError) return error
  throw new Error('it did not fail with a ServiceError', { cause: error })
}

void t.test('a status becomes a code, with the words and the request of the service', async (t) => {
  const service = await ScriptedService.start(t)
  const files = sessionFiles(service.client(t, { retry: { attempts: 1 } }), agent, session)
  const codes = {
    400: 'bad_request',
    401: 'unauthorized',
    403: 'forbidden',
    404: 'not_found',
    405: 'unsupported',
    408: 'timeout',
    409: 'conflict',
    410: 'not_found',
    413: 'too_large',
    418: 'bad_request',
    424: 'session_not_ready',
    429: 'throttled',
    500: 'server_error',
    501: 'unsupported',
    502: 'server_error',
    503: 'server_error',
    504: 'server_error',
    505: 'unsupported',
    302: 'protocol',
  } as const
  for (const [code, expected] of Object.entries(codes)) {
    service.next(refusal(Number(code), 'their_code', { location: 'http://example.com/' }))
    const error = await failure(files.remove('f'))
    t.match(error, { code: expected, status: Number(code), serviceCode: 'their_code', requestId: 'r1' })
    t.match(error.message, /delete f: \d+ \(their_code: their_code it is\)/)
    const mayBeDone = ['408', '500', '502', '503', '504'].includes(code)
    t.equal(error.ambiguous, mayBeDone, `${code} is ${mayBeDone ? '' : 'not '}ambiguous`)
  }
  service.next(refusal(404, 'session_not_found'), refusal(500, null), (response) => {
    response.writeHead(502, { 'apim-request-id': 'gateway-1' }).end('<html>bad gateway</html>')
  })
  t.match(await failure(files.download('f')), { code: 'session_not_found' })
  t.match(await failure(files.download('f')), {
    code: 'server_error',
    ambiguous: false,
    serviceCode: undefined,
  })
  t.match(await failure(files.download('f')), { code: 'server_error', status: 502, requestId: 'gateway-1' })
})

void t.test('what may pass is tried again until it does', async (t) => {
  const service = await ScriptedService.start(t)
  const calls: FinishedCall[] = []
  const files = sessionFiles(service.client(t, { onCall: (call) => calls.push(call) }), agent, session)
  service.next(
    status(408),
    status(429),
    refusal(424, 'session_not_ready'),
    status(500),
    reset,
    status(503),
    json(201, {}),
  )
  await files.upload('f', content)
  t.equal(service.asked.length, 7)
  for (const asked of service.asked)
    t.equal(asked.body.toString(), 'content', 'the whole body goes each time')
  t.strictSame(
    calls.map((call) => call.code ?? call.status),
    [408, 429, 424, 500, 'network', 503, 201],
  )
  t.match(calls.at(-1), { verb: 'upload', bytesOut: content.length })
})

void t.test('one attempt is one attempt', async (t) => {
  const service = (await ScriptedService.start(t)).otherwise(status(503))
  const files = sessionFiles(service.client(t), agent, session)
  await t.rejects(files.upload('f', content, { retry: false }), { code: 'server_error', status: 503 })
  await t.rejects(files.download('f', { retry: false }), { code: 'server_error' })
  t.equal(service.asked.length, 2)
})

void t.test('a failure is ambiguous when any attempt may have been carried out', async (t) => {
  const service = await ScriptedService.start(t)
  const files = sessionFiles(service.client(t), agent, session)
  service.next(reset, refusal(403, 'forbidden'))
  t.match(await failure(files.upload('f', content)), { code: 'forbidden', ambiguous: true })
  service.next(status(429), refusal(403, 'forbidden'))
  t.match(await failure(files.upload('f', content)), { code: 'forbidden', ambiguous: false })
  service.next(reset)
  t.match(await failure(files.upload('f', content, { retry: false })), { code: 'network', ambiguous: true })
  service.next(reset)
  t.match(await failure(files.download('f', { retry: false })), { code: 'network', ambiguous: false })
})

void t.test('a connection that never was is not ambiguous', async (t) => {
  const service = await ScriptedService.start(t)
  const client = service.client(t, { endpoint: 'http://127.0.0.1:1/p', retry: { attempts: 1 } })
  t.match(await failure(sessionFiles(client, agent, session).upload('f', content)), {
    code: 'network',
    ambiguous: false,
  })
})

void t.test('a deletion that finds nothing after an attempt of unknown end has been done', async (t) => {
  const service = await ScriptedService.start(t)
  const files = sessionFiles(service.client(t), agent, session)
  service.next(reset, refusal(404, 'gone'))
  await files.remove('f')
  service.next(status(429), refusal(404, 'gone'))
  await t.rejects(files.remove('f'), { code: 'not_found' })
})

void t.test('a session whose creation may have happened is not created twice', async (t) => {
  const service = await ScriptedService.start(t)
  const client = service.client(t)
  service.next(reset)
  t.match(await failure(client.createSession(agent)), { code: 'network', ambiguous: true })
  service.next(status(429), json(201, { agent_session_id: 's' }))
  t.match(await client.createSession(agent), { sessionId: 's' })
  t.equal(service.asked.length, 3)
})

void t.test('a call waits as long as the service asks for, and holds no slot meanwhile', async (t) => {
  const service = await ScriptedService.start(t)
  const clock = new FakeClock()
  const client = service.client(t, { clock, limits: { reads: 1, writes: 1 } })
  service.next(status(429, { 'retry-after': '7' }), json(200, { agent_session_id: 'other' }), bytes('late'))
  const waiting = client.downloadSessionFile(agent, session, 'f')
  await service.arrived(1)
  while (clock.nextIn !== 7000) await new Promise((resolve) => setImmediate(resolve))
  t.equal(client.load.reads.running, 0)
  t.match(await client.getSession(agent, session), { sessionId: 'other' })
  clock.advance(6999)
  t.equal(service.asked.length, 2)
  clock.advance(1)
  t.equal(await read((await waiting).body), 'late')
})

void t.test('a failure says for how long the service wants to be left alone', async (t) => {
  const service = (await ScriptedService.start(t)).otherwise(status(429, { 'retry-after': '3600' }))
  const error = await failure(sessionFiles(service.client(t), agent, session).upload('f', content))
  t.match(error.message, /429; it asks to be left alone for 3600 s/)
  t.equal(service.asked.length, 1, 'and is not asked again within the time of the call')
})

void t.test('who gives up while a call waits for its next attempt is answered at once', async (t) => {
  const service = (await ScriptedService.start(t)).next(status(429, { 'retry-after': '7' }))
  const clock = new FakeClock()
  const files = sessionFiles(service.client(t, { clock }), agent, session)
  const abort = new AbortController()
  const waiting = failure(files.upload('f', content, { signal: abort.signal }))
  while (clock.nextIn !== 7000) await new Promise((resolve) => setImmediate(resolve))
  const reason = new Error('enough')
  abort.abort(reason)
  t.match(await waiting, { code: 'aborted', ambiguous: false, cause: reason })
  t.equal(service.asked.length, 1)
})

void t.test('a change that timed out halves the lane, here or there', async (t) => {
  const service = (await ScriptedService.start(t)).next(status(408), json(201, {}))
  const client = service.client(t)
  await sessionFiles(client, agent, session).upload('f', content)
  t.equal(client.load.writes.limit, startCalls / 2)
  service.next(silence)
  const hasty = service.client(t, { timeouts: { totalMs: 20 } })
  await t.rejects(sessionFiles(hasty, agent, session).upload('f', content, { retry: false }), {
    code: 'timeout',
  })
  t.equal(hasty.load.writes.limit, startCalls / 2)
})

void t.test('429 halves the lane', async (t) => {
  const service = (await ScriptedService.start(t)).next(status(429), json(201, {}))
  const client = service.client(t)
  await sessionFiles(client, agent, session).upload('f', content)
  t.equal(client.load.writes.limit, startCalls / 2)
  t.equal(client.load.reads.limit, startCalls)
})

void t.test('the slot of a download is held until its body has ended or was left', async (t) => {
  const service = (await ScriptedService.start(t)).otherwise(bytes(Buffer.alloc(1_000_000)))
  const client = service.client(t, { limits: { reads: 1 } })
  const files = sessionFiles(client, agent, session)
  const first = await files.download('f')
  const second = files.download('f')
  t.match(client.load.reads, { running: 1, waiting: 1 })
  for await (const piece of first.body) {
    t.ok(piece.length > 0)
    break
  }
  t.equal((await read((await second).body)).length, 1_000_000)
  const unread = await files.download('f')
  await unread.body[Symbol.asyncIterator]().return?.()
  t.equal((await read((await files.download('f')).body)).length, 1_000_000)
})

void t.test('a refused token is replaced once, also when only one attempt was asked for', async (t) => {
  const service = await ScriptedService.start(t)
  let count = 0
  const credential = () => `token-${++count}`
  const files = sessionFiles(service.client(t, { credential }), agent, session)
  service.next(status(401), json(201, {}), status(401), status(401))
  await files.upload('f', content, { retry: false })
  await t.rejects(files.upload('f', content), { code: 'unauthorized', status: 401 })
  t.strictSame(
    service.asked.map((asked) => asked.headers.authorization),
    ['Bearer token-1', 'Bearer token-2', 'Bearer token-2', 'Bearer token-3'],
  )
})

void t.test('a token that cannot be replaced is refused once', async (t) => {
  const service = (await ScriptedService.start(t)).otherwise(refusal(401, 'bad_token'))
  const error = await failure(sessionFiles(service.client(t), agent, session).remove('f'))
  t.match(error, { code: 'unauthorized', serviceCode: 'bad_token' })
  t.equal(service.asked.length, 1)
  t.notMatch(JSON.stringify([error.message, error]), /secret/)
})

void t.test('no token, no request', async (t) => {
  const service = await ScriptedService.start(t)
  const credential = { getToken: () => Promise.reject(new Error('not logged in')) }
  const client = service.client(t, { credential })
  t.match(await failure(client.getSession(agent, session)), { code: 'credential' })
  t.equal(service.asked.length, 0)
  t.equal(client.load.reads.running, 0)
})

void t.test('a redirect is not followed', async (t) => {
  const other = (await ScriptedService.start(t)).otherwise(json(200, { agent_session_id: 'x' }))
  const service = (await ScriptedService.start(t)).next(status(302, { location: other.endpoint }))
  t.match(await failure(service.client(t).getSession(agent, session)), { code: 'protocol', status: 302 })
  t.equal(other.asked.length, 0)
})

void t.test('a body cut before its first byte is asked for again, a later cut is the reader’s', async (t) => {
  const service = await ScriptedService.start(t)
  const files = sessionFiles(service.client(t), agent, session)
  service.next(cut('', 10), bytes('0123456789'), cut('0123', 10))
  t.equal(await read((await files.download('f')).body), '0123456789')
  const download = await files.download('f')
  t.equal(download.length, 10)
  const error = await failure(read(download.body))
  t.match(error, { code: 'truncated', retryable: true, ambiguous: false })
  t.match(error.message, /download f: .* 4 of 10 bytes/)
  t.equal(service.asked.length, 3)
})

void t.test('an answer that is not of the service’s form is no success', async (t) => {
  const service = await ScriptedService.start(t)
  const client = service.client(t)
  service.next(
    bytes('<html>welcome</html>'),
    json(200, { unexpected: true }),
    bytes('x', { 'content-encoding': 'gzip' }),
  )
  t.match(await failure(client.getSession(agent, session)), { code: 'protocol', status: 200 })
  t.match(await failure(client.getSession(agent, session)), { code: 'protocol' })
  t.match(await failure(client.downloadSessionFile(agent, session, 'f')), { code: 'protocol' })
  t.equal(client.load.reads.running, 0)
})

void t.test('an upload of which the service has less is sent again', async (t) => {
  const service = await ScriptedService.start(t)
  const client = service.client(t)
  service.next(json(201, { bytes_written: 3 }), json(200, { bytes_written: content.length }))
  await sessionFiles(client, agent, session).upload('f', content)
  t.equal(service.asked.length, 2)
  service.next(json(201, { bytes_written: 3 }))
  const error = await failure(sessionFiles(client, agent, session).upload('f', content, { retry: false }))
  t.match(error, { code: 'truncated', ambiguous: true })
})

void t.test('a caller who gives up ends the request, which may have been carried out', async (t) => {
  const service = (await ScriptedService.start(t)).otherwise(silence)
  const client = service.client(t)
  for (const [call, ambiguous] of [
    [(signal: AbortSignal) => sessionFiles(client, agent, session).upload('f', content, { signal }), true],
    [(signal: AbortSignal) => sessionFiles(client, agent, session).download('f', { signal }), false],
  ] as const) {
    const abort = new AbortController()
    const before = service.asked.length
    const failed = failure(call(abort.signal))
    await service.arrived(before + 1)
    abort.abort()
    t.match(await failed, { code: 'aborted', ambiguous })
  }
  t.match(client.load, { reads: { running: 0 }, writes: { running: 0 } })
})

void t.test('connections are kept and used again', async (t) => {
  const service = (await ScriptedService.start(t)).otherwise(json(200, { entries: [] }))
  const files = sessionFiles(service.client(t), agent, session)
  for (let count = 0; count < 20; count++) for await (const page of files.list('d')) t.strictSame(page, [])
  t.ok(service.connections <= 2, 'the second is opened while the first one is about to be free')
})

void t.test('what is sent of an upload is told while it goes', async (t) => {
  const service = await ScriptedService.start(t)
  const files = sessionFiles(service.client(t), agent, session)
  const size = 1024 * 1024
  const sent: number[] = []
  service.next(json(201, {}))
  await files.upload('f', Buffer.alloc(size), { onProgress: (count) => sent.push(count) })
  t.equal(
    sent.reduce((sum, count) => sum + count, 0),
    size,
  )
  t.ok(sent.length > 1)
})

void t.test('a trace tells of each attempt, and neither token nor content', async (t) => {
  const service = (await ScriptedService.start(t)).next(status(503), json(201, {}))
  const lines: object[] = []
  const logger = {
    ...silentLogger,
    isLevelEnabled: () => true,
    trace: (fields: object, message: string) => lines.push({ ...fields, message }),
  }
  const client = service.client(t, { logger })
  await sessionFiles(client, agent, session).upload('d/f', content)
  const attempt = (number: number, code: number): object => ({
    verb: 'upload',
    path: '/d/f',
    status: code,
    bytesOut: content.length,
    durationMs: Number,
    attempt: number,
    requestId: String,
  })
  t.match(lines, [attempt(1, 503), attempt(2, 201)])
  t.strictSame(
    lines.map((line) => (line as { requestId: string }).requestId),
    service.asked.map(({ headers }) => headers['x-ms-client-request-id']),
  )
  t.notMatch(JSON.stringify(lines), /secret|content/)
})

void t.test('without a trace nothing is put together for one', async (t) => {
  const service = (await ScriptedService.start(t)).next(json(201, {}))
  const logger = { ...silentLogger, trace: () => t.fail('nobody asked') }
  await sessionFiles(service.client(t, { logger }), agent, session).upload('f', content)
  t.pass()
})
