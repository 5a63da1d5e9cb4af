/**
 * A patch of an agent as people write it: JSON with the names of the wire. Layer: client.
 *
 * Invariant: takes what `AgentPatch` can say and nothing else, and says of everything else where it is and why, before
 * anything is sent. Null takes a member away; within an array, which is replaced as a whole, there is none.
 */
import * as v from 'valibot'
import { patchFromWire, type AgentPatch } from './agent-patch.ts'

/** What is wrong, and where: `agent_endpoint.protocols[0]`, '' for the whole. */
export interface PatchIssue {
  readonly path: string
  readonly message: string
}

export type ReadPatch =
  | { readonly ok: true; readonly patch: AgentPatch }
  | { readonly ok: false; readonly issues: readonly PatchIssue[] }

export function readAgentPatch(json: unknown): ReadPatch {
  const result = v.safeParse(agent, json)
  if (result.success) return { ok: true, patch: patchFromWire(result.output) }
  const issues = result.issues.map((issue) => ({ path: pathOf(issue.path), message: issue.message }))
  return { ok: false, issues }
}

/** An object with these members and no other. */
function members<Entries extends v.ObjectEntries>(entries: Entries) {
  const names = Object.keys(entries).join(', ')
  const only = names === '' ? 'nothing can be in it' : `only ${names}`
  return v.pipe(
    v.custom<Readonly<Record<string, unknown>>>(isObject, 'must be an object'),
    v.strictObject(entries, ({ expected }) =>
      expected === 'never' ? `there is no such member, ${only}` : 'is missing',
    ),
  )
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function oneOf<const Words extends readonly string[]>(words: Words) {
  return v.picklist(words, `must be one of ${words.join(', ')}`)
}

function list<Item extends v.GenericSchema>(item: Item) {
  return v.array(item, 'must be an array')
}

/** May be left out, which leaves it as it is, or null, which takes it away. */
function removable<Schema extends v.GenericSchema>(schema: Schema) {
  return v.exactOptional(v.nullable(schema))
}

const text = v.string('must be a text')
const switchValue = v.boolean('must be true or false')
const nothing = removable(members({}))

const rule = members({
  type: v.literal('FixedRatio', 'must be FixedRatio'),
  agent_version: v.pipe(
    text,
    v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'must be a version such as 2, an alias as @latest is none'),
    v.check((version) => !version.startsWith('draft-'), 'must not be a draft, which takes no traffic'),
  ),
  traffic_percentage: v.pipe(
    v.number('must be a number'),
    v.integer('must be a whole number'),
    v.minValue(0, 'must be from 0 to 100'),
    v.maxValue(100, 'must be from 0 to 100'),
  ),
})

const rules = v.pipe(
  list(rule),
  v.check(
    (all) => all.reduce((sum, { traffic_percentage }) => sum + traffic_percentage, 0) === 100,
    'the traffic_percentage of all rules must make 100',
  ),
  v.check(
    (all) => new Set(all.map(({ agent_version }) => agent_version)).size === all.length,
    'a version must have one rule',
  ),
)

const schemes = ['Entra', 'BotService', 'BotServiceRbac', 'BotServiceTenant'] as const

const scheme = v.lazy((given) =>
  (given as { readonly type?: unknown } | null)?.type === 'Entra'
    ? members({
        type: oneOf(schemes),
        isolation_key_source: v.exactOptional(members({ kind: oneOf(['Entra', 'Header']) })),
      })
    : members({ type: oneOf(schemes) }),
)

const endpoint = members({
  version_selector: removable(members({ version_selection_rules: rules })),
  protocols: removable(list(oneOf(['activity', 'responses', 'a2a', 'mcp', 'invocations', 'invocations_ws']))),
  protocol_configuration: removable(
    members({
      activity: removable(members({ enable_m365_public_endpoint: removable(switchValue) })),
      responses: nothing,
      a2a: nothing,
      mcp: nothing,
      invocations: nothing,
      invocations_ws: nothing,
    }),
  ),
  authorization_schemes: removable(list(scheme)),
})

const skill = members({
  id: text,
  name: text,
  description: v.exactOptional(text),
  tags: v.exactOptional(list(text)),
  examples: v.exactOptional(list(text)),
})

const card = members({
  version: v.exactOptional(text),
  description: removable(text),
  skills: v.exactOptional(list(skill)),
})

const agent = v.pipe(
  members({ agent_endpoint: removable(endpoint), agent_card: removable(card) }),
  v.check(
    (patch) => Object.keys(patch).length > 0,
    'must have agent_endpoint, agent_card, or both: nothing would change',
  ),
)

function pathOf(path: readonly v.IssuePathItem[] | undefined): string {
  return (path ?? []).reduce((whole, { key }) => {
    if (typeof key === 'number') return `${whole}[${key}]`
    return whole === '' ? String(key) : `${whole}.${String(key)}`
  }, '')
}
