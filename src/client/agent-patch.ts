/**
 * What `patchAgent` can change of an agent. Layer: client.
 *
 * Invariant: sent as a JSON merge patch: what is absent stays as it is, null takes a field away. Here and on the
 * wire the members are the same, written `likeThis` and `like_this`.
 */

/** Where new sessions go: the shares of all rules make 100. */
export interface VersionSelectionRule {
  readonly type: 'FixedRatio'
  readonly agentVersion: string
  /** 0 to 100. */
  readonly trafficPercentage: number
}

export type AuthorizationScheme =
  | { readonly type: 'Entra'; readonly isolationKeySource?: { readonly kind: 'Entra' | 'Header' } }
  | { readonly type: 'BotService' | 'BotServiceRbac' | 'BotServiceTenant' }

export type EndpointProtocol = 'activity' | 'responses' | 'a2a' | 'mcp' | 'invocations' | 'invocations_ws'

export type EmptyConfiguration = Readonly<Record<string, never>>

export interface ProtocolConfiguration {
  readonly activity?: { readonly enableM365PublicEndpoint?: boolean | null } | null
  readonly responses?: EmptyConfiguration | null
  readonly a2a?: EmptyConfiguration | null
  readonly mcp?: EmptyConfiguration | null
  readonly invocations?: EmptyConfiguration | null
  readonly invocationsWs?: EmptyConfiguration | null
}

export interface AgentEndpoint {
  readonly versionSelector?: { readonly versionSelectionRules: readonly VersionSelectionRule[] } | null
  /** Older form of `protocolConfiguration`; both are still accepted. */
  readonly protocols?: readonly EndpointProtocol[] | null
  readonly protocolConfiguration?: ProtocolConfiguration | null
  readonly authorizationSchemes?: readonly AuthorizationScheme[] | null
}

export interface AgentCardSkill {
  readonly id: string
  readonly name: string
  readonly description?: string
  readonly tags?: readonly string[]
  readonly examples?: readonly string[]
}

export interface AgentCard {
  readonly version: string
  readonly description?: string | null
  readonly skills: readonly AgentCardSkill[]
}

export interface AgentPatch {
  readonly agentEndpoint?: AgentEndpoint | null
  /** Of a card that is there, what is absent stays; a new one needs its version and skills. */
  readonly agentCard?: Partial<AgentCard> | null
}

/** The patch as it is sent. */
export function patchBody(patch: AgentPatch): object {
  return renamed(patch, wireName) as object
}

/** The patch of a body that is of the form: `readAgentPatch` checks it. */
export function patchFromWire(body: object): AgentPatch {
  return renamed(body, (name) =>
    name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
  ) as AgentPatch
}

function wireName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

function renamed(value: unknown, rename: (name: string) => string): unknown {
  if (Array.isArray(value)) return value.map((item) => renamed(item, rename))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [rename(name), renamed(member, rename)]),
  )
}
