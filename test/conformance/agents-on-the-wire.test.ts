/** What the emulator believes about agents, their versions and where their sessions go, byte by byte. */

import type { Test } from 'tap'
import type { EmulatorOptions } from '../../src/emulator/emulator.ts'
import { agent, startTestEmulator } from '../emulator-server.ts'
import { overEachProtocol, protocolOf } from './each-protocol.ts'
import { rawRequest } from './raw-http.ts'

const v1 = '?api-version=v1'
const agents = '/api/projects/demo/agents'
const target = `${agents}/${agent}${v1}`
const versions = `${agents}/${agent}/versions`
const asJson = { 'content-type': 'application/json' }
const asPatch = { 'content-type': 'application/merge-patch+json' }

async function setup(t: Test, options: Partial<EmulatorOptions> = {}) {
  const emulator = await startTestEmulator(t, { ...protocolOf(t), ...options })
  const request = async (
    method: string,
    path: string,
    headers: Record<string, string> = {},
    body?: unknown,
  ) => {
    const text = body === undefined ? '' : JSON.stringify(body)
    const answer = await rawRequest(emulator, method, path, headers, text)
    t.ok(answer, `${method} ${path} is answered`)
    return { ...answer!, json: JSON.parse(answer!.body.toString()) as Record<string, unknown> }
  }
  const newVersion = () => request('POST', versions + v1, asJson, { definition: { kind: 'hosted' } })
  return { emulator, request, newVersion }
}

overEachProtocol('an agent can be got and listed, and counts as such', async (t) => {
  const { emulator, request } = await setup(t, {
    seed: ['b-agent', agent, 'a-agent'].map((name) => ({ agent: name, session: 'session-1' })),
  })
  const got = await request('GET', target)
  t.match(got, {
    status: 200,
    json: {
      object: 'agent',
      id: agent,
      name: agent,
      versions: { latest: { object: 'agent.version', version: '1' } },
    },
  })
  t.same((await request('PATCH', target, asPatch, {})).json, got.json, 'as a patch of nothing answers')
  t.match(await request('GET', `${agents}/nobody${v1}`), {
    status: 404,
    json: { error: { code: 'not_found' } },
  })
  const page = async (query: string) => {
    const { json } = await request('GET', `${agents}${v1}${query}`)
    return [(json['data'] as { name: string }[]).map(({ name }) => name), json['last_id'], json['has_more']]
  }
  t.same(await page(''), [['a-agent', 'b-agent', agent], agent, false])
  t.same(await page('&limit=1'), [['a-agent'], 'a-agent', true])
  t.same(await page('&after=a-agent'), [['b-agent', agent], agent, false])
  t.same(await page('&order=desc&limit=2'), [[agent, 'b-agent'], 'b-agent', true])
  t.match(emulator.counts(), { getAgent: 2, listAgents: 4, patchAgent: 1 })
})

overEachProtocol(
  'versions are numbered as they are made, listed and got; the latest is the agent’s',
  async (t) => {
    const { emulator, request, newVersion } = await setup(t)
    t.match(await newVersion(), {
      status: 200,
      json: { object: 'agent.version', id: `${agent}:2`, version: '2', definition: { kind: 'hosted' } },
    })
    await newVersion()
    t.match((await request('GET', target)).json, { versions: { latest: { version: '3' } } })
    t.match(await request('GET', `${versions}/2${v1}`), { status: 200, json: { id: `${agent}:2` } })
    for (const unknown of ['4', '0', '@latest', 'latest', '02'])
      t.match(await request('GET', `${versions}/${unknown}${v1}`), { status: 404 }, unknown)
    const page = async (query: string) => {
      const { json } = await request('GET', `${versions}${v1}${query}`)
      return [
        (json['data'] as { version: string }[]).map(({ version }) => version).join(''),
        json['has_more'],
      ]
    }
    t.same(await page(''), ['123', false])
    t.same(await page('&limit=2'), ['12', true])
    t.same(await page(`&after=${agent}:2`), ['3', false])
    t.same(await page(`&after=${agent}:2&order=desc`), ['1', false])
    t.match(await request('GET', `${versions}${v1}&after=${agent}:9`), { status: 400 })
    for (const body of [
      undefined,
      {},
      { definition: {} },
      { definition: 'x' },
      { definition: { kind: 'x' }, metadata: 1 },
    ])
      t.match(await request('POST', versions + v1, asJson, body), { status: 400 }, JSON.stringify(body))
    t.match(await request('POST', `${agents}/nobody/versions${v1}`, asJson, {}), { status: 404 })
    t.match(emulator.counts(), { createVersion: 8, getVersion: 6, listVersions: 5 })
  },
)

overEachProtocol('a patch of an agent merges', async (t) => {
  const { request } = await setup(t)
  const patch = (body: unknown) => request('PATCH', target, asPatch, body)
  const card = { agent_card: { version: '1', description: 'old', skills: [] } }
  t.match(await patch(card), { status: 200, json: { object: 'agent', name: agent } })
  const { json } = await patch({ agent_card: { version: '2', description: null } })
  t.same(json['agent_card'], { version: '2', skills: [] })
  t.notOk('agent_card' in (await patch({ agent_card: null })).json)
  t.match(await patch({ name: 'other' }), { status: 400 })
})

const rule = (agent_version: unknown, traffic_percentage: unknown, type = 'FixedRatio') => ({
  type,
  agent_version,
  traffic_percentage,
})
const rules = (...version_selection_rules: unknown[]) => ({
  agent_endpoint: { version_selector: { version_selection_rules } },
})
const endpoint = (agent_endpoint: unknown) => ({ agent_endpoint })
const scheme = (authorization_schemes: unknown) => ({ agent_endpoint: { authorization_schemes } })
const card = (agent_card: unknown) => ({ agent_card })

overEachProtocol('a patch outside of the schema is refused and changes nothing', async (t) => {
  const { request, newVersion } = await setup(t)
  await newVersion()
  const before = (await request('GET', target)).json
  const refused: unknown[] = [
    ...[500, 101, -1, 50.5, '100', null].map((percentage) => rules(rule('1', percentage))),
    ...[undefined, null, '', 1, '@latest', '3', 'draft-1795899773'].map((version) =>
      rules(rule(version, 100)),
    ),
    rules(rule('1', 100, 'Other')),
    rules(),
    rules(rule('1', 50)),
    rules(rule('1', 60), rule('2', 60)),
    rules(rule('1', 50), rule('1', 50)),
    rules({ ...rule('1', 100), weight: 1 }),
    endpoint({ version_selector: {} }),
    endpoint({ version_selector: { version_selection_rules: {} } }),
    endpoint([]),
    endpoint('x'),
    endpoint({ protocols: ['responses', 'smtp'] }),
    endpoint({ protocols: 'responses' }),
    endpoint({ protocol_configuration: { activity: { enable_m365_public_endpoint: 'yes' } } }),
    endpoint({ protocol_configuration: { smtp: {} } }),
    endpoint({ protocol_configuration: { responses: true } }),
    endpoint({ protocol_configuration: { responses: [] } }),
    endpoint({ protocol_configuration: [] }),
    endpoint({ unknown: 1 }),
    scheme({}),
    scheme([{ type: 'Basic' }]),
    scheme([{ type: 'Entra', isolation_key_source: { kind: 'Cookie' } }]),
    scheme([{ type: 'BotService', isolation_key_source: { kind: 'Header' } }]),
    card({ version: '1' }),
    card({ skills: [] }),
    card({ version: 1, skills: [] }),
    card({ version: '1', skills: [{ id: 'a' }] }),
    card({ version: '1', skills: [{ id: 'a', name: 'A', tags: [1] }] }),
    card([]),
    { name: 'other' },
    [],
    'x',
    null,
  ]
  for (const body of refused) {
    const answer = await request('PATCH', target, asPatch, body)
    t.match(answer, { status: 400, json: { error: { code: 'invalid_request' } } }, JSON.stringify(body))
  }
  t.same((await request('GET', target)).json, before)
})

overEachProtocol('what the schema has is taken, and what only the service sets is left alone', async (t) => {
  const { request, newVersion } = await setup(t)
  await newVersion()
  const endpointParts = {
    version_selector: { version_selection_rules: [rule('1', 0), rule('2', 100)] },
    protocols: ['activity', 'responses', 'a2a', 'mcp', 'invocations', 'invocations_ws'],
    protocol_configuration: {
      activity: { enable_m365_public_endpoint: true },
      responses: {},
      a2a: {},
      mcp: {},
      invocations: {},
      invocations_ws: {},
    },
    authorization_schemes: [
      { type: 'Entra', isolation_key_source: { kind: 'Entra' } },
      { type: 'BotService' },
      { type: 'BotServiceRbac' },
      { type: 'BotServiceTenant' },
    ],
  }
  const skills = [{ id: 'a', name: 'A', description: 'does', tags: ['t'], examples: ['e'] }]
  const body = {
    agent_endpoint: { ...endpointParts, publish_approval_status: 'approved' },
    agent_card: { version: '1', skills },
  }
  t.match(await request('PATCH', target, asPatch, body), { status: 200 })
  const { json } = await request('GET', target)
  t.same(json['agent_endpoint'], endpointParts)
  t.same(json['agent_card'], { version: '1', skills })
})

overEachProtocol(
  'a session that names no version gets one by the rules, the latest where there are none',
  async (t) => {
    const { request, newVersion } = await setup(t)
    await newVersion()
    let count = 0
    const versionOfNext = async (): Promise<unknown> => {
      const id = `routed-${String(count++).padStart(3, '0')}`
      const path = `${agents}/${agent}/endpoint/sessions${v1}`
      const { json } = await request('POST', path, asJson, { agent_session_id: id })
      return (json['version_indicator'] as { agent_version: unknown }).agent_version
    }
    t.equal(await versionOfNext(), '2')
    await request('PATCH', target, asPatch, rules(rule('1', 100), rule('2', 0)))
    t.equal(await versionOfNext(), '1')
    await request('PATCH', target, asPatch, rules(rule('1', 30), rule('2', 70)))
    const routed = await Promise.all(Array.from({ length: 100 }, versionOfNext))
    const first = routed.filter((version) => version === '1').length
    t.ok(first >= 20 && first <= 40, `${first} of 100 went to the version with 30 percent`)
  },
)

overEachProtocol('versions and rules outlive the emulator', async (t) => {
  const data = t.testdir()
  const { emulator, request, newVersion } = await setup(t, { data })
  await newVersion()
  await request('PATCH', target, asPatch, rules(rule('1', 100)))
  const before = (await request('GET', target)).json
  await emulator.close()
  const again = await setup(t, { data })
  t.same((await again.request('GET', target)).json, before)
})

overEachProtocol('data from before there were versions has the first', async (t) => {
  const data = t.testdir({
    agents: { [agent]: { 'agent.json': JSON.stringify({ name: agent }), sessions: {} } },
  })
  const { request } = await setup(t, { data, seed: [] })
  t.match((await request('GET', target)).json, { versions: { latest: { version: '1' } } })
})
