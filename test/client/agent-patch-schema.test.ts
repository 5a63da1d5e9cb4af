import t from 'tap'
import { patchBody } from '../../src/client/agent-patch.ts'
import { readAgentPatch } from '../../src/client/agent-patch-schema.ts'

const rule = { type: 'FixedRatio', agent_version: '1', traffic_percentage: 100 }

void t.test('what the service knows is taken, and sent as it was written', (t) => {
  for (const body of [
    { agent_endpoint: null, agent_card: null },
    { agent_card: { description: null } },
    {
      agent_card: {
        ...{ version: '1', description: 'sorts tickets' },
        skills: [{ id: 'a', name: 'A', description: 'b', tags: ['c'], examples: [] }],
      },
    },
    {
      agent_endpoint: {
        version_selector: { version_selection_rules: [rule] },
        protocols: ['activity', 'invocations_ws'],
        protocol_configuration: {
          activity: { enable_m365_public_endpoint: true },
          ...{ responses: {}, a2a: null, invocations_ws: {} },
        },
        authorization_schemes: [
          { type: 'Entra', isolation_key_source: { kind: 'Header' } },
          { type: 'BotServiceTenant' },
        ],
      },
    },
    { agent_endpoint: { version_selector: null, protocols: null, authorization_schemes: null } },
  ]) {
    const read = readAgentPatch(body)
    t.ok(read.ok, JSON.stringify(read))
    if (read.ok) t.same(patchBody(read.patch), body)
  }
  t.end()
})

const wrong: readonly (readonly [string, unknown, string, RegExp])[] = [
  ['no object', [], '', /must be an object/],
  ['nothing in it', {}, '', /nothing would change/],
  ['another member', { name: 'x' }, 'name', /no such member, only agent_endpoint, agent_card/],
  ['the names of the library', { agentCard: null }, 'agentCard', /no such member/],
  ['a misspelt member', { agent_card: { descripton: '' } }, 'agent_card.descripton', /no such member/],
  ['a card that is a text', { agent_card: 'x' }, 'agent_card', /must be an object/],
  ['a version that is a number', { agent_card: { version: 1 } }, 'agent_card.version', /must be a text/],
  ['a version taken away', { agent_card: { version: null } }, 'agent_card.version', /must be a text/],
  ['a skill in part', { agent_card: { skills: [{ id: 'a' }] } }, 'agent_card.skills[0].name', /is missing/],
  [
    'an unknown protocol',
    { agent_endpoint: { protocols: ['http'] } },
    'agent_endpoint.protocols[0]',
    /one of/,
  ],
  [
    'something in an empty configuration',
    { agent_endpoint: { protocol_configuration: { mcp: { x: 1 } } } },
    ...(['agent_endpoint.protocol_configuration.mcp.x', /nothing can be in it/] as const),
  ],
  [
    'an array for an object',
    { agent_endpoint: { protocol_configuration: { mcp: [] } } },
    ...(['agent_endpoint.protocol_configuration.mcp', /must be an object/] as const),
  ],
  [
    'an unknown scheme',
    { agent_endpoint: { authorization_schemes: [{ type: 'Key' }] } },
    ...(['agent_endpoint.authorization_schemes[0].type', /one of Entra, BotService/] as const),
  ],
  [
    'what one scheme has in another',
    { agent_endpoint: { authorization_schemes: [{ type: 'BotService', isolation_key_source: {} }] } },
    ...(['agent_endpoint.authorization_schemes[0].isolation_key_source', /no such member/] as const),
  ],
]

void t.test('everything else is refused, with its place', (t) => {
  for (const [what, body, path, message] of wrong) {
    t.match(readAgentPatch(body), { ok: false, issues: [{ path, message }] }, what)
  }
  t.end()
})

void t.test('rules of traffic name concrete versions, each once, and make 100', (t) => {
  const place = 'agent_endpoint.version_selector.version_selection_rules'
  const half = { ...rule, traffic_percentage: 50 }
  for (const [rules, path, message] of [
    [[half], place, /make 100/],
    [[half, half], place, /one rule/],
    [[{ ...rule, agent_version: '@latest' }], `${place}[0].agent_version`, /a version such as 2/],
    [[{ ...rule, agent_version: 'draft-1' }], `${place}[0].agent_version`, /must not be a draft/],
    [[{ ...rule, traffic_percentage: 99.5 }], `${place}[0].traffic_percentage`, /a whole number/],
    [[{ ...rule, traffic_percentage: 101 }], `${place}[0].traffic_percentage`, /from 0 to 100/],
    [[null], `${place}[0]`, /must be an object/],
    [{}, place, /must be an array/],
  ] as const) {
    const body = { agent_endpoint: { version_selector: { version_selection_rules: rules } } }
    t.match(readAgentPatch(body), { ok: false, issues: [{ path, message }] })
  }
  t.end()
})
