/** What the emulator believes about sessions, identity and refusals, byte by byte. */

import type { Test } from 'tap'
import type { EmulatorOptions } from '../../src/emulator/emulator.ts'
import { FakeClock } from '../fake-clock.ts'
import { agent, session, startTestEmulator } from '../emulator-server.ts'
import { overEachProtocol, protocolOf } from './each-protocol.ts'
import { rawRequest, sessionPath } from './raw-http.ts'

const v1 = '?api-version=v1'
const sessions = `/api/projects/demo/agents/${agent}/endpoint/sessions`
const agentPath = `/api/projects/demo/agents/${agent}`
const asJson = { 'content-type': 'application/json' }

async function setup(t: Test, options: Partial<EmulatorOptions> = {}) {
  const emulator = await startTestEmulator(t, { ...protocolOf(t), ...options })
  const request = async (
    method: string,
    target: string,
    headers?: Record<string, string | null>,
    body?: string,
  ) => {
    const answer = await rawRequest(emulator, method, target, headers, body)
    t.ok(answer, `${method} ${target} is answered`)
    return { ...answer!, json: parse(answer!.body) }
  }
  const statusOf = async (...call: Parameters<typeof request>) => (await request(...call)).status
  return { emulator, request, statusOf }
}

const parse = (body: Buffer): unknown => (body.length === 0 ? undefined : JSON.parse(body.toString()))

overEachProtocol('a refusal is the envelope, with the request in its message and beside it', async (t) => {
  const { request } = await setup(t)
  const answer = await request('GET', `${sessions}/no-such-session${v1}`)
  t.equal(answer.status, 404)
  const id = answer.headers['x-request-id'] ?? ''
  t.match(id, /^[0-9a-f]{32}$/)
  t.same(answer.json, {
    error: {
      code: 'session_not_found',
      message: `Session 'no-such-session' was not found or was deleted. [Request ID: ${id}]`,
      param: null,
      type: 'invalid_request_error',
      details: [],
      additionalInfo: { request_id: id },
    },
  })
})

overEachProtocol('the token and the version are asked of every call', async (t) => {
  const { emulator, statusOf } = await setup(t)
  const target = `${sessionPath}${v1}`
  t.equal(await statusOf('GET', target, { authorization: null }), 401)
  t.equal(await statusOf('GET', target, { authorization: 'Bearer wrong' }), 401)
  t.equal(await statusOf('GET', target, { authorization: `Basic ${emulator.token}` }), 401)
  t.equal(await statusOf('GET', target, { authorization: `bearer ${emulator.token}` }), 200)
  t.equal(await statusOf('GET', sessionPath), 400)
  t.equal(await statusOf('GET', `/api/projects/other/agents/${agent}${v1}`), 404)
  emulator.setToken('fresh')
  t.equal(await statusOf('GET', target), 401)
  t.equal(await statusOf('GET', target, { authorization: 'Bearer fresh' }), 200)
})

overEachProtocol('a session is created with a chosen id or one of its own, an id only once', async (t) => {
  const { request, statusOf } = await setup(t)
  const answer = await request('POST', sessions + v1, asJson, '{"agent_session_id":"my-session-1"}')
  t.match(answer, {
    status: 201,
    json: { agent_session_id: 'my-session-1', status: 'active', version_indicator: { type: 'version_ref' } },
  })
  const { created_at, expires_at } = answer.json as { created_at: number; expires_at: number }
  t.equal(expires_at - created_at, 2_592_000)
  t.equal(await statusOf('POST', sessions + v1, asJson, '{"agent_session_id":"my-session-1"}'), 409)
  t.equal(await statusOf('POST', sessions + v1), 201, 'no body at all')
  t.equal(await statusOf('POST', sessions + v1, { ...asJson, 'content-length': '0' }), 201)
  const versioned = '{"version_indicator":{"type":"version_ref","agent_version":"2"}}'
  t.match(await request('POST', sessions + v1, asJson, versioned), {
    status: 404,
    json: { error: { code: 'not_found' } },
  })
  t.equal(
    await statusOf('POST', `${agentPath}/versions${v1}`, asJson, '{"definition":{"kind":"hosted"}}'),
    200,
  )
  t.match((await request('POST', sessions + v1, asJson, versioned)).json, {
    version_indicator: { type: 'version_ref', agent_version: '2' },
  })
  t.equal(await statusOf('POST', sessions + v1, asJson, versioned.replace('"2"', '"@latest"')), 400)
  t.equal(await statusOf('POST', sessions + v1, asJson, '{"agent_session_id":"short"}'), 400)
  t.equal(await statusOf('POST', sessions + v1, asJson, '{"agent_session_id":"no/slashes"}'), 400)
  t.equal(await statusOf('POST', sessions + v1, asJson, '{broken'), 400)
  t.equal(await statusOf('POST', `/api/projects/demo/agents/nobody/endpoint/sessions${v1}`), 404)
})

overEachProtocol('sessions are listed in pages by creation', async (t) => {
  const clock = new FakeClock()
  const { emulator, request, statusOf } = await setup(t, { clock, seed: [{ agent, session: 'session-0' }] })
  for (let index = 1; index < 4; index++) {
    clock.advance(1000)
    await request('POST', sessions + v1, asJson, `{"agent_session_id":"session-${index}"}`)
  }
  const page = async (query: string) => {
    const { json } = await request('GET', `${sessions}${v1}${query}`)
    const { data, first_id, last_id, has_more } = json as {
      data: { agent_session_id: string }[]
      first_id: string
      last_id: string
      has_more: boolean
    }
    t.equal(first_id, data[0]?.agent_session_id)
    t.equal(last_id, data.at(-1)?.agent_session_id)
    return [data.map((each) => each.agent_session_id.at(-1)).join(''), has_more]
  }
  t.same(await page(''), ['0123', false])
  t.same(await page('&limit=2'), ['01', true])
  t.same(await page('&limit=2&after=session-1'), ['23', false])
  t.same(await page('&limit=2&order=desc'), ['32', true])
  t.equal(await statusOf('GET', `${sessions}${v1}&after=session-9`), 400)
  t.equal(await statusOf('GET', `${sessions}${v1}&limit=101`), 400)
  t.equal(emulator.counts().listSessions, 6)
})

overEachProtocol(
  'stop keeps the files, answers 409 the second time, and a file call wakes the session',
  async (t) => {
    const { request, statusOf } = await setup(t)
    const stop = `${sessionPath}:stop${v1}`
    t.match(await request('POST', stop), { status: 204, body: Buffer.alloc(0) })
    t.match((await request('GET', sessionPath + v1)).json, { status: 'idle', stopped_at: Number })
    t.match(await request('POST', stop), {
      status: 409,
      json: { error: { code: 'session_already_stopped' } },
    })
    t.equal(await statusOf('GET', `${sessionPath}/files${v1}`), 200)
    t.match((await request('GET', sessionPath + v1)).json, { status: 'active', stopped_at: undefined })
    t.equal(await statusOf('POST', `${sessions}/no-such-session:stop${v1}`), 404)
    t.equal(await statusOf('POST', `${sessionPath}:start${v1}`), 404)
  },
)

overEachProtocol('delete takes the files with it, and what is not there is deleted already', async (t) => {
  const { request, statusOf } = await setup(t)
  t.equal(await statusOf('PUT', `${sessionPath}/files/content${v1}&path=f`, {}, 'x'), 201)
  t.equal(await statusOf('DELETE', sessionPath + v1), 204)
  t.equal(await statusOf('DELETE', sessionPath + v1), 204)
  t.match(await request('GET', `${sessionPath}/files${v1}`), {
    status: 404,
    json: { error: { code: 'session_not_found' } },
  })
  t.equal(await statusOf('POST', sessions + v1, asJson, `{"agent_session_id":"${session}"}`), 201)
  t.match(
    (await request('GET', `${sessionPath}/files${v1}`)).json,
    { entries: [] },
    'made again, it is empty',
  )
})

overEachProtocol('only file calls count as use of a session', async (t) => {
  const clock = new FakeClock()
  const { request } = await setup(t, { clock })
  const times = async () => {
    const { json } = await request('GET', sessionPath + v1)
    const record = json as { created_at: number; last_accessed_at: number; expires_at: number }
    return [record.last_accessed_at - record.created_at, record.expires_at - record.created_at - 2_592_000]
  }
  clock.advance(5000)
  await request('GET', sessions + v1)
  t.same(await times(), [0, 0])
  await request('GET', `${sessionPath}/files${v1}`)
  t.same(await times(), [5, 5])
})

overEachProtocol('an expired session can be got, its files and its log cannot', async (t) => {
  const { emulator, request, statusOf } = await setup(t)
  emulator.expireSession(agent, session)
  t.match((await request('GET', sessionPath + v1)).json, { status: 'expired' })
  t.match(await request('GET', `${sessionPath}/files${v1}`), {
    status: 404,
    json: { error: { code: 'session_not_found' } },
  })
  const log = `/api/projects/demo/agents/${agent}/sessions/${session}:logstream${v1}`
  t.equal(await statusOf('GET', log), 404)
})

overEachProtocol('an idle session answers 424 until it has woken', async (t) => {
  const clock = new FakeClock()
  const { request, statusOf } = await setup(t, { clock, idleAfterMs: 60_000, wakeMs: 5000 })
  const files = `${sessionPath}/files${v1}`
  t.equal(await statusOf('GET', files), 200)
  clock.advance(59_999)
  t.equal(await statusOf('GET', files), 200)
  clock.advance(60_000)
  t.match((await request('GET', sessionPath + v1)).json, { status: 'idle' })
  clock.advance(100_000)
  t.match(await request('GET', files), { status: 424, json: { error: { code: 'session_not_ready' } } })
  clock.advance(4999)
  t.equal(await statusOf('GET', files), 424)
  clock.advance(1)
  t.equal(await statusOf('GET', files), 200)
  t.match((await request('GET', sessionPath + v1)).json, { status: 'active' })
})

overEachProtocol(
  'an isolation key opens its session under both its names, another key does not',
  async (t) => {
    const { request, statusOf } = await setup(t)
    const created = await request('POST', sessions + v1, { 'x-ms-user-isolation-key': 'alice' })
    const { agent_session_id: id } = created.json as { agent_session_id: string }
    const files = `${sessions}/${id}/files${v1}`
    t.equal(await statusOf('GET', files, { 'x-ms-user-isolation-key': 'alice' }), 200)
    t.equal(await statusOf('GET', files, { 'x-session-isolation-key': 'alice' }), 200)
    t.equal(await statusOf('GET', files, { 'x-ms-user-isolation-key': 'bob' }), 404)
    t.equal(await statusOf('DELETE', `${sessions}/${id}${v1}`, { 'x-ms-user-isolation-key': 'bob' }), 404)
    const listed = await request('GET', sessions + v1, { 'x-ms-user-isolation-key': 'bob' })
    t.match(listed.json, { data: [{ agent_session_id: session }], has_more: false })
  },
)

overEachProtocol('a delegated session is for delegated callers only, whoever they act for', async (t) => {
  const { request, statusOf } = await setup(t)
  const created = await request('POST', sessions + v1, { 'x-ms-user-identity': 'alice@example.com' })
  const { agent_session_id: id } = created.json as { agent_session_id: string }
  const target = `${sessions}/${id}${v1}`
  t.equal(await statusOf('GET', target, { 'x-ms-user-identity': 'alice@example.com' }), 200)
  t.equal(await statusOf('GET', target, { 'x-ms-user-identity': 'bob@example.com' }), 200)
  t.match(await request('GET', target), { status: 403, json: { error: { code: 'session_not_accessible' } } })
  t.equal(await statusOf('GET', sessionPath + v1, { 'x-ms-user-identity': 'bob@example.com' }), 403)
})

overEachProtocol('a session cursor holds its place when its session is deleted', async (t) => {
  const clock = new FakeClock()
  const { request, statusOf } = await setup(t, { clock, seed: [{ agent, session: 'session-1' }] })
  for (let index = 2; index <= 6; index++) {
    clock.advance(1000)
    await request('POST', sessions + v1, asJson, `{"agent_session_id":"session-${index}"}`)
  }
  const alice = { 'x-ms-user-isolation-key': 'alice' }
  const hers = await request('POST', sessions + v1, alice)
  const { agent_session_id: herSession } = hers.json as { agent_session_id: string }
  for (const id of ['session-2', 'session-4']) await request('DELETE', `${sessions}/${id}${v1}`)
  await request('DELETE', `${sessions}/${herSession}${v1}`, alice)
  const page = async (query: string) => {
    const { json } = await request('GET', `${sessions}${v1}${query}`, { 'x-ms-user-isolation-key': 'bob' })
    return (json as { data: { agent_session_id: string }[] }).data.map((each) => each.agent_session_id.at(-1))
  }
  t.same(await page('&after=session-2'), ['3', '5', '6'])
  t.same(await page('&after=session-4&order=desc'), ['3', '1'])
  t.same(await page('&before=session-4'), ['1', '3'])
  t.same(await page('&after=session-2&before=session-4'), ['3'])
  clock.advance(1000)
  await request('POST', sessions + v1, asJson, '{"agent_session_id":"session-2"}')
  t.same(await page('&after=session-2'), [], 'made again, it has its new place')
  const stranger = { 'x-ms-user-isolation-key': 'bob' }
  t.equal(
    await statusOf('GET', `${sessions}${v1}&after=${herSession}`, stranger),
    400,
    'of nobody’s business',
  )
  t.equal(await statusOf('GET', `${sessions}${v1}&after=never-there`), 400)
})

overEachProtocol('an empty page has no ids to go on from', async (t) => {
  const { request } = await setup(t)
  const last = await request('GET', `${sessions}${v1}&after=${session}`)
  t.same(last.json, { data: [], has_more: false })
  await request('DELETE', sessionPath + v1)
  t.same((await request('GET', sessions + v1)).json, { data: [], has_more: false })
  t.same((await request('GET', `${agentPath}/versions${v1}&after=${agent}:1`)).json, {
    data: [],
    has_more: false,
  })
  t.same((await request('GET', `/api/projects/demo/agents${v1}&after=zzz`)).json, {
    data: [],
    has_more: false,
  })
})

overEachProtocol(
  'words of routes are names like others, and no name leads to another resource',
  async (t) => {
    const words = ['endpoint', 'versions', 'sessions']
    const { emulator, request, statusOf } = await setup(t, {
      seed: words.map((word) => ({ agent: word, session: word })),
      extras: true,
    })
    for (const word of words) {
      const one = `/api/projects/demo/agents/${word}/endpoint/sessions/${word}`
      t.match((await request('GET', one + v1)).json, { agent_session_id: word })
      t.equal(await statusOf('PUT', `${one}/files/content${v1}&path=${word}`, {}, word), 201)
      t.match((await request('GET', `${one}/files${v1}`)).json, { entries: [{ name: word }] })
      const log = `/api/projects/demo/agents/${word}/sessions/${word}:logstream${v1}&follow=false`
      t.match(await rawRequest(emulator, 'GET', log), { status: 200 })
      t.match((await request('GET', `/api/projects/demo/agents/${word}${v1}`)).json, { name: word })
    }
    const all = '/api/projects/demo/agents/sessions/endpoint/sessions'
    for (const name of [
      'files',
      'content',
      'mkdir',
      'stat',
      'endpoint',
      '%2e%2e',
      '..%2fsessions',
      'a%2Fb',
      '%00',
    ]) {
      for (const [method, below] of [
        ['GET', ''],
        ['GET', '/files'],
        ['DELETE', '/files'],
        ['GET', '/content'],
        ['PUT', '/content'],
        ['GET', '/files/content'],
        ['GET', '/stat'],
        ['POST', '/mkdir'],
        ['POST', ':stop'],
      ] as const) {
        const answer = await request(method, `${all}/${name}${below}${v1}&path=sessions`)
        t.match(
          answer,
          { status: 404, json: { error: { code: 'session_not_found' } } },
          `${method} ${name}${below}`,
        )
      }
    }
    t.match(await request('GET', `${all}//files${v1}`), {
      status: 404,
      json: { error: { code: 'session_not_found', message: /Session 'files'/ } },
    })
    t.match(await request('GET', `${all}/sessions/other${v1}`), {
      status: 404,
      json: { error: { code: 'not_found' } },
    })
    t.equal(await statusOf('GET', `${all}/files/content`, { authorization: null }), 401)
  },
)

overEachProtocol('a URL that is none is refused in the form of every refusal', async (t) => {
  const { request } = await setup(t)
  for (const [name, status] of [
    ['%zz', 400],
    ['x'.repeat(301), 414],
  ] as const) {
    const answer = await request('GET', `${sessions}/${name}${v1}`)
    t.match(answer, { status, json: { error: { code: 'invalid_request', details: [] } } })
  }
  for (const limit of ['0', '101', '-1', '1.5', '1e1', '0x10', '', 'x', '5&limit=6'])
    t.match(await request('GET', `${sessions}${v1}&limit=${limit}`), { status: 400 }, limit)
})

overEachProtocol('over the rate, 429 says when to come back', async (t) => {
  const clock = new FakeClock()
  const { request, statusOf } = await setup(t, { clock, requestsPerSecond: 2 })
  t.equal(await statusOf('GET', sessionPath + v1), 200)
  t.equal(await statusOf('GET', sessionPath + v1), 200)
  t.match(await request('GET', sessionPath + v1), { status: 429, headers: { 'retry-after': '1' } })
  clock.advance(1000)
  t.equal(await statusOf('GET', sessionPath + v1), 200)
})
