import { gzipSync } from 'node:zlib'
import t from 'tap'
import { silentLogger } from '../../src/log.ts'
import type { FileDownload } from '../../src/client/file-download.ts'
import { SessionClient } from '../../src/client/session-client.ts'
import { sessionFiles } from '../../src/client/remote-files.ts'
import type { Asked } from './scripted-service.ts'
import { bytes, cut, json, refusal, ScriptedService, status } from './scripted-service.ts'

const sessions = '/api/projects/p/agents/my-agent/endpoint/sessions'
const session = `${sessions}/session-1`
const resource = { agent_session_id: 'session-1', status: 'active', created_at: 1 }
const resourceRead = {
  sessionId: 'session-1',
  agentVersion: undefined,
  status: 'active',
  createdSeconds: 1,
  lastAccessedSeconds: undefined,
  expiresSeconds: undefined,
  stoppedSeconds: undefined,
}

const shown = ({ method, path, query }: Asked) => [method, path, query] as const
const apiVersion = { 'api-version': 'v1' }

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

void t.test(
  'a session is created with the id and the version that were chosen, or with neither',
  async (t) => {
    const service = (await ScriptedService.start(t)).otherwise(json(201, resource))
    const client = service.client(t)
    t.match(await client.createSession('my-agent'), resourceRead)
    await client.createSession('my-agent', { sessionId: 'session-1', agentVersion: '2' })
    t.strictSame(shown(service.asked[0]!), ['POST', sessions, apiVersion])
    t.strictSame(JSON.parse(service.asked[0]!.body.toString()), {})
    t.equal(service.asked[0]!.headers['content-type'], 'application/json')
    t.strictSame(JSON.parse(service.asked[1]!.body.toString()), {
      agent_session_id: 'session-1',
      version_indicator: { type: 'version_ref', agent_version: '2' },
    })
  },
)

void t.test('a session is got, stopped and deleted by its routes', async (t) => {
  const service = (await ScriptedService.start(t)).next(json(200, resource), status(204), status(204))
  const client = service.client(t)
  t.strictSame(await client.getSession('my-agent', 'session-1'), resourceRead)
  await client.stopSession('my-agent', 'session-1')
  await client.deleteSession('my-agent', 'session-1')
  t.strictSame(service.asked.map(shown), [
    ['GET', session, apiVersion],
    ['POST', `${session}:stop`, apiVersion],
    ['DELETE', session, apiVersion],
  ])
})

void t.test('a session that is stopped already is stopped', async (t) => {
  const service = await ScriptedService.start(t)
  const client = service.client(t)
  service.next(
    refusal(409, 'session_already_stopped'),
    refusal(409, 'something_else'),
    refusal(404, 'session_not_found'),
  )
  await client.stopSession('my-agent', 'session-1')
  await t.rejects(client.stopSession('my-agent', 'session-1'), { code: 'conflict' })
  await t.rejects(client.stopSession('my-agent', 'session-1'), { code: 'session_not_found' })
})

void t.test(
  'sessions are listed over all pages, with the cursor of the reply and all headers on each',
  async (t) => {
    const service = await ScriptedService.start(t)
    service.next(
      json(200, {
        data: [resource, { agent_session_id: 's2' }],
        has_more: true,
        last_id: 'cursor',
        first_id: 'x',
      }),
      json(200, { data: [{ agent_session_id: 's3' }], has_more: false }),
    )
    const client = service.client(t, { isolationKey: 'key', userIdentity: 'user@example' })
    const found = await collect(client.listSessions('my-agent', { order: 'asc' }))
    t.strictSame(
      found.map((each) => each.sessionId),
      ['session-1', 's2', 's3'],
    )
    t.strictSame(service.asked.map(shown), [
      ['GET', sessions, { ...apiVersion, limit: '100', order: 'asc' }],
      ['GET', sessions, { ...apiVersion, limit: '100', order: 'asc', after: 'cursor' }],
    ])
    for (const { headers } of service.asked) {
      t.match(headers, {
        authorization: 'Bearer secret',
        accept: 'application/json',
        'user-agent': 'mount-session',
        'x-session-isolation-key': 'key',
        'x-ms-user-isolation-key': 'key',
        'x-ms-user-identity': 'user@example',
      })
    }
    t.not(
      service.asked[0]!.headers['x-ms-client-request-id'],
      service.asked[1]!.headers['x-ms-client-request-id'],
    )
  },
)

void t.test('an agent is patched with a merge patch', async (t) => {
  const resource = { object: 'agent', name: 'my-agent', versions: {} }
  const service = (await ScriptedService.start(t)).next(json(200, resource))
  const agent = await service.client(t).patchAgent('my-agent', {
    agentEndpoint: {
      versionSelector: {
        versionSelectionRules: [{ type: 'FixedRatio', agentVersion: '2', trafficPercentage: 100 }],
      },
      protocols: ['invocations_ws'],
      protocolConfiguration: { activity: { enableM365PublicEndpoint: true }, a2a: {}, invocationsWs: null },
      authorizationSchemes: [{ type: 'Entra', isolationKeySource: { kind: 'Header' } }],
    },
    agentCard: { version: '1', description: null, skills: [{ id: 's', name: 'skill' }] },
  })
  t.strictSame(agent, { name: 'my-agent', latestVersion: undefined, resource })
  t.strictSame(shown(service.asked[0]!), ['PATCH', '/api/projects/p/agents/my-agent', apiVersion])
  t.equal(service.asked[0]!.headers['content-type'], 'application/merge-patch+json')
  t.strictSame(JSON.parse(service.asked[0]!.body.toString()), {
    agent_endpoint: {
      version_selector: {
        version_selection_rules: [{ type: 'FixedRatio', agent_version: '2', traffic_percentage: 100 }],
      },
      protocols: ['invocations_ws'],
      protocol_configuration: {
        activity: { enable_m365_public_endpoint: true },
        a2a: {},
        invocations_ws: null,
      },
      authorization_schemes: [{ type: 'Entra', isolation_key_source: { kind: 'Header' } }],
    },
    agent_card: { version: '1', description: null, skills: [{ id: 's', name: 'skill' }] },
  })
})

void t.test(
  'files are listed by entries or by pages; names that cannot be are left out and logged once',
  async (t) => {
    const service = await ScriptedService.start(t)
    const first = {
      entries: [{ name: 'a', size: 1 }, { name: '../evil' }, { name: '' }],
      has_more: true,
      last_id: 'c',
    }
    const last = { entries: [{ name: 'd', is_directory: true, size: 4096 }, { name: '..' }] }
    service.next(json(200, first), json(200, last), json(200, first), json(200, last))
    const warnings: object[] = []
    const client = service.client(t, {
      logger: { ...silentLogger, warn: (fields) => warnings.push(fields) },
    })
    const names = (await collect(client.listSessionFiles('my-agent', 'session-1', 'some dir'))).map(
      (each) => each.name,
    )
    t.strictSame(names, ['a', 'd'])
    const pages = await collect(client.listSessionFilePages('my-agent', 'session-1', 'some dir'))
    t.strictSame(
      pages.map((page) => page.length),
      [1, 1],
    )
    t.strictSame(warnings, [{ directory: 'some dir', names: ['../evil', ''] }])
    t.strictSame(shown(service.asked[1]!), [
      'GET',
      `${session}/files`,
      { ...apiVersion, path: '/some dir', limit: '100', after: 'c' },
    ])
  },
)

void t.test('the home is the path `.`, and not found there is the session', async (t) => {
  const service = (await ScriptedService.start(t)).otherwise(refusal(404, 'no_such_thing'))
  const client = service.client(t)
  await t.rejects(collect(client.listSessionFiles('my-agent', 'session-1')), { code: 'session_not_found' })
  t.equal(service.asked[0]!.query['path'], '.')
  await t.rejects(collect(client.listSessionFiles('my-agent', 'session-1', 'dir')), { code: 'not_found' })
})

void t.test('JSON may be compressed', async (t) => {
  const service = await ScriptedService.start(t)
  service.next((response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
    response.end(gzipSync(JSON.stringify(resource)))
  })
  t.strictSame(await service.client(t).getSession('my-agent', 'session-1'), resourceRead)
  t.match(service.asked[0]!.headers['accept-encoding'], /gzip/)
})

void t.test(
  'a file is uploaded, downloaded and deleted by its path, encoded but for the unreserved',
  async (t) => {
    const service = await ScriptedService.start(t)
    const date = 'Thu, 01 Jan 2026 12:00:10 GMT'
    service.next(json(201, { path: 'x', bytes_written: 2 }), bytes('hi', { date }), status(204), status(200))
    const client = service.client(t)
    const path = 'dir/a b+c%&#?\u{1F600}\n'
    t.match(await client.uploadSessionFile('my-agent', 'session-1', path, Buffer.from('hi')), {
      path: 'x',
      bytesWritten: 2,
    })
    const download = await client.downloadSessionFile('my-agent', 'session-1', path)
    t.equal(download.length, 2)
    t.equal(download.serverDateMs, Date.UTC(2026, 0, 1, 12, 0, 10))
    t.equal(Buffer.concat(await collect(download.body)).toString(), 'hi')
    await client.deleteSessionFile('my-agent', 'session-1', path)
    await client.deleteSessionFile('my-agent', 'session-1', path, { recursive: true })
    const query = { ...apiVersion, path: `/${path}` }
    t.strictSame(service.asked.map(shown), [
      ['PUT', `${session}/files/content`, query],
      ['GET', `${session}/files/content`, query],
      ['DELETE', `${session}/files`, query],
      ['DELETE', `${session}/files`, { ...query, recursive: 'true' }],
    ])
    t.match(service.asked[0]!.headers, { 'content-type': 'application/octet-stream', 'content-length': '2' })
    t.match(service.asked[1]!.headers, { accept: 'application/octet-stream', 'accept-encoding': 'identity' })
  },
)

void t.test('a directory is made where the service can, and unsupported where it cannot', async (t) => {
  const service = await ScriptedService.start(t)
  service.next(
    status(200),
    status(201),
    status(204),
    status(404),
    status(405),
    status(501),
    refusal(404, 'session_not_found'),
  )
  const client = service.client(t)
  for (let count = 0; count < 3; count++) await client.makeSessionDirectory('my-agent', 'session-1', 'a/b')
  t.strictSame(shown(service.asked[0]!), ['POST', `${session}/files/mkdir`, apiVersion])
  t.strictSame(JSON.parse(service.asked[0]!.body.toString()), { path: '/a/b' })
  for (let count = 0; count < 3; count++)
    await t.rejects(client.makeSessionDirectory('my-agent', 'session-1', 'a'), { code: 'unsupported' })
  await t.rejects(client.makeSessionDirectory('my-agent', 'session-1', 'a'), { code: 'session_not_found' })
  t.equal(service.asked.length, 7, 'none of them is worth another try')
})

void t.test(
  'the log stream has a documented route with a version, and one with parameters without',
  async (t) => {
    const service = await ScriptedService.start(t)
    service.otherwise((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('event: log\ndata: x\n\n')
    })
    const client = service.client(t)
    const documented = await client.getSessionLogStream('my-agent', 'session-1', {
      agentVersion: '3',
      tail: 5,
    })
    const other = await client.getSessionLogStream('my-agent', 'session-1', {
      kind: 'console',
      tail: 5,
      follow: true,
    })
    t.equal(documented.status, 200)
    for await (const piece of documented.body) {
      t.equal(Buffer.from(piece).toString(), 'event: log\ndata: x\n\n')
      break
    }
    other.close()
    t.strictSame(await collect(other.body), [])
    const agent = '/api/projects/p/agents/my-agent'
    t.strictSame(service.asked.map(shown), [
      ['GET', `${agent}/versions/3/sessions/session-1:logstream`, apiVersion],
      [
        'GET',
        `${agent}/sessions/session-1:logstream`,
        { ...apiVersion, kind: 'console', tail: '5', follow: 'true' },
      ],
    ])
    t.match(service.asked[0]!.headers.accept, 'text/event-stream')
    t.equal(client.load.reads.running, 0, 'it is outside the lanes')
  },
)

void t.test('closing a log stream ends the loop that reads it', async (t) => {
  const service = await ScriptedService.start(t)
  service.otherwise((response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(': hello\n\n')
  })
  const stream = await service.client(t).getSessionLogStream('my-agent', 'session-1')
  const iterator = stream.body[Symbol.asyncIterator]()
  t.equal(Buffer.from((await iterator.next()).value as Uint8Array).toString(), ': hello\n\n')
  const waiting = iterator.next()
  stream.close()
  t.strictSame(await waiting, { done: true, value: undefined })
})

void t.test('identity is that of the call, else that of the client', async (t) => {
  const service = (await ScriptedService.start(t)).otherwise(json(200, { entries: [] }))
  const client = service.client(t, { isolationKey: 'mine', userIdentity: 'me' })
  await collect(client.listSessionFiles('my-agent', 'session-1', '', { isolationKey: 'other' }))
  await collect(sessionFiles(client, 'my-agent', 'session-1', { userIdentity: 'someone' }).list('x'))
  t.match(service.asked[0]!.headers, { 'x-ms-user-isolation-key': 'other', 'x-ms-user-identity': 'me' })
  t.match(service.asked[1]!.headers, { 'x-ms-user-isolation-key': 'mine', 'x-ms-user-identity': 'someone' })
  t.throws(() => service.client(t, { userIdentity: 'with space' }), { code: 'bad_request' })
  t.throws(() => service.client(t, { isolationKey: 'line\nbreak' }), { code: 'bad_request' })
})

void t.test('a token is not sent over http to another machine', (t) => {
  t.throws(() => new SessionClient({ endpoint: 'http://example.com/api/projects/p' }), {
    code: 'insecure_endpoint',
  })
  t.end()
})

void t.test('a download is bytes, text or a stream, once', async (t) => {
  const service = await ScriptedService.start(t)
  const client = service.client(t)
  const download = (): Promise<FileDownload> => client.downloadSessionFile('my-agent', 'session-1', 'f')
  const text = '\ufeffh\u00e9llo \u{1F600}\n'
  service.next(
    bytes(text),
    bytes(Buffer.from([0x68, 0xff])),
    bytes(''),
    bytes(text),
    bytes(text),
    bytes(text),
  )
  t.equal(await (await download()).text(), text)
  t.equal(await (await download()).text(), 'h\ufffd')
  t.equal(await (await download()).text(), '')
  const whole = await download()
  t.strictSame(Buffer.from(await whole.bytes()), Buffer.from(text))
  const again = {
    code: 'bad_request',
    message: /^download f: its bytes were read before: download it again$/,
  }
  await t.rejects(whole.bytes(), again)
  await t.rejects(whole.text(), again)
  const streamed = await download()
  t.equal(Buffer.concat(await collect(streamed.body)).toString(), text)
  await t.rejects(streamed.text(), again)
  const left = await download()
  for await (const piece of left.body) if (piece.length > 0) break
  await t.rejects(left.bytes(), again)
})

void t.test('a download that is cut fails as a whole, too', async (t) => {
  const service = (await ScriptedService.start(t)).next(cut('part', 10))
  const download = await service.client(t).downloadSessionFile('my-agent', 'session-1', 'f')
  await t.rejects(download.text(), { code: 'truncated', message: /after 4 of 10 bytes/ })
})

void t.test('a closed client ends what is under way and starts nothing more', async (t) => {
  const service = (await ScriptedService.start(t)).otherwise(() => undefined)
  const client = service.client(t, { limits: { reads: 1 } })
  const running = client.getSession('my-agent', 'session-1')
  const waiting = client.getSession('my-agent', 'session-1')
  await service.arrived(1)
  const ended = Promise.all([
    t.rejects(running, { code: 'aborted', message: /: the client was closed$/ }),
    t.rejects(waiting, { code: 'aborted', message: /: the client was closed$/ }),
  ])
  await client.close()
  await ended
  const closed = { code: 'closed', message: /: the client is closed: make a new one$/, retryable: false }
  const files = sessionFiles(client, 'my-agent', 'session-1')
  const calls: readonly (() => Promise<unknown>)[] = [
    () => client.createSession('my-agent'),
    () => client.getSession('my-agent', 'session-1'),
    () => client.listSessions('my-agent').next(),
    () => client.stopSession('my-agent', 'session-1'),
    () => client.deleteSession('my-agent', 'session-1'),
    () => client.patchAgent('my-agent', {}),
    () => client.listSessionFiles('my-agent', 'session-1').next(),
    () => client.uploadSessionFile('my-agent', 'session-1', 'f', Buffer.alloc(1)),
    () => client.downloadSessionFile('my-agent', 'session-1', 'f'),
    () => client.deleteSessionFile('my-agent', 'session-1', 'f'),
    () => client.makeSessionDirectory('my-agent', 'session-1', 'd'),
    () => client.getSessionLogStream('my-agent', 'session-1'),
    () => files.download('f', { signal: new AbortController().signal }),
  ]
  for (const call of calls) await t.rejects(call(), closed, call.toString())
  await client.close()
  t.equal(service.asked.length, 1)
})
