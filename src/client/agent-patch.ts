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
  readonly activity?: { readonly enableM365PublicEndpoint?: boolean } | null
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
  readonly agentCard?: AgentCard | null
}

/** The patch as it is sent. */
export function patchBody(patch: AgentPatch): object {
  return wireNames(patch) as object
}

function wireNames(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(wireNames)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      wireNames(member),
    ]),
  )
}
