/**
 * What can be written of an agent: its endpoint and its card. Layer: emulator.
 *
 * Invariant: what is stored of an agent is of the service's schema as a whole: a merge patch is judged by what
 * comes out of it, and one that is refused changes nothing.
 */

import * as v from 'valibot'
import { badRequest } from './envelope.ts'

/** A concrete version: aliases such as `@latest` are none. */
export const versionId = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'A version must be a concrete one, not an alias'),
)

const rule = v.strictObject({
  type: v.literal('FixedRatio'),
  agent_version: v.pipe(
    versionId,
    v.check((version) => !version.startsWith('draft-'), 'A draft takes no traffic'),
  ),
  traffic_percentage: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(100)),
})

const rules = v.pipe(
  v.array(rule),
  v.check(
    (all) => all.reduce((sum, { traffic_percentage }) => sum + traffic_percentage, 0) === 100,
    'The percentages of all rules must make 100',
  ),
  v.check(
    (all) => new Set(all.map(({ agent_version }) => agent_version)).size === all.length,
    'A version must have one rule',
  ),
)

/** Of members that may all be absent: an array would do as well. */
function optionalMembers<Entries extends v.ObjectEntries>(entries: Entries) {
  return v.pipe(
    v.custom<v.InferInput<v.StrictObjectSchema<Entries, undefined>>>(isObject, 'An object is expected'),
    v.strictObject(entries),
  )
}

const protocol = v.picklist(['activity', 'responses', 'a2a', 'mcp', 'invocations', 'invocations_ws'])
const nothing = v.exactOptional(optionalMembers({}))

const protocolConfiguration = optionalMembers({
  activity: v.exactOptional(optionalMembers({ enable_m365_public_endpoint: v.exactOptional(v.boolean()) })),
  responses: nothing,
  a2a: nothing,
  mcp: nothing,
  invocations: nothing,
  invocations_ws: nothing,
})

const isolationKeySource = v.variant('kind', [
  v.strictObject({ kind: v.literal('Entra') }),
  v.strictObject({
    kind: v.literal('Header'),
    user_isolation_key: v.exactOptional(v.string()),
    chat_isolation_key: v.exactOptional(v.string()),
  }),
])

const authorizationScheme = v.variant('type', [
  v.strictObject({ type: v.literal('Entra'), isolation_key_source: v.exactOptional(isolationKeySource) }),
  v.strictObject({ type: v.picklist(['BotService', 'BotServiceRbac', 'BotServiceTenant']) }),
])

const agentEndpoint = optionalMembers({
  version_selector: v.exactOptional(v.strictObject({ version_selection_rules: rules })),
  /** The older form of `protocol_configuration`. */
  protocols: v.exactOptional(v.array(protocol)),
  protocol_configuration: v.exactOptional(protocolConfiguration),
  authorization_schemes: v.exactOptional(v.array(authorizationScheme)),
})

export type StoredAgentEndpoint = v.InferOutput<typeof agentEndpoint>

const agentCard = v.strictObject({
  version: v.string(),
  description: v.exactOptional(v.string()),
  skills: v.array(
    v.strictObject({
      id: v.string(),
      name: v.string(),
      description: v.exactOptional(v.string()),
      tags: v.exactOptional(v.array(v.string())),
      examples: v.exactOptional(v.array(v.string())),
    }),
  ),
})

export type StoredAgentCard = v.InferOutput<typeof agentCard>

const agent = v.strictObject({
  agent_endpoint: v.exactOptional(agentEndpoint),
  agent_card: v.exactOptional(agentCard),
})

export type PatchedAgent = v.InferOutput<typeof agent>

/** What the service sets itself, and takes no notice of when it is sent back. */
const readOnly = 'publish_approval_status'

/** The agent after a merge patch. Refused with 400 when either is not of the schema. */
export function patchAgent(current: PatchedAgent, patch: unknown): PatchedAgent {
  if (!isObject(patch)) throw badRequest('The patch is not valid: it must be an object.')
  const merged = mergePatch(current, patch) as Record<string, unknown>
  if (isObject(merged['agent_endpoint'])) Reflect.deleteProperty(merged['agent_endpoint'], readOnly)
  const parsed = v.safeParse(agent, merged)
  if (parsed.success) return parsed.output
  const [issue] = parsed.issues
  throw badRequest(`The patch is not valid: ${v.getDotPath(issue) ?? 'agent'}: ${issue.message}.`)
}

/** RFC 7396. */
function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch
  const merged = new Map(isObject(target) ? Object.entries(target) : [])
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key)
    else merged.set(key, mergePatch(merged.get(key), value))
  }
  return Object.fromEntries(merged)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
