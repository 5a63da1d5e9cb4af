/**
 * What `patchAgent` can change of an agent, with the wire's own names. Layer: client.
 *
 * Invariant: sent as a JSON merge patch: what is absent stays as it is, null takes a field away.
 */

/** Where new sessions go: the shares of all rules make 100. */
export interface VersionSelectionRule {
  readonly type: 'FixedRatio'
  readonly agent_version: string
  /** 0 to 100. */
  readonly traffic_percentage: number
}

export type AuthorizationScheme =
  | { readonly type: 'Entra'; readonly isolation_key_source?: { readonly kind: 'Entra' | 'Header' } }
  | { readonly type: 'BotService' | 'BotServiceRbac' | 'BotServiceTenant' }

export type EndpointProtocol = 'activity' | 'responses' | 'a2a' | 'mcp' | 'invocations' | 'invocations_ws'

type EmptyConfiguration = Readonly<Record<string, never>>

export interface ProtocolConfiguration {
  readonly activity?: { readonly enable_m365_public_endpoint?: boolean } | null
  readonly responses?: EmptyConfiguration | null
  readonly a2a?: EmptyConfiguration | null
  readonly mcp?: EmptyConfiguration | null
  readonly invocations?: EmptyConfiguration | null
  readonly invocations_ws?: EmptyConfiguration | null
}

export interface AgentEndpoint {
  readonly version_selector?: { readonly version_selection_rules: readonly VersionSelectionRule[] } | null
  /** Older form of `protocol_configuration`; both are still accepted. */
  readonly protocols?: readonly EndpointProtocol[] | null
  readonly protocol_configuration?: ProtocolConfiguration | null
  readonly authorization_schemes?: readonly AuthorizationScheme[] | null
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
  readonly agent_endpoint?: AgentEndpoint | null
  readonly agent_card?: AgentCard | null
}
