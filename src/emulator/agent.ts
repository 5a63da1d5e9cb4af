/**
 * An agent: its record, its versions, and which of them a new session gets. Layer: emulator.
 *
 * Invariant: an agent has at least one version; they are numbered from 1 and never taken away.
 */

import { createHash } from 'node:crypto'
import type { StoredAgentCard, StoredAgentEndpoint } from './agent-schema.ts'

export interface AgentVersion {
  readonly version: string
  /** Unix seconds. */
  readonly createdAt: number
  /** As it was given; what the sandbox is made of means nothing here. */
  readonly definition: Readonly<Record<string, unknown>>
  readonly description?: string | undefined
  readonly metadata?: Readonly<Record<string, string>> | undefined
}

/** `agent.json`. */
export interface AgentRecord {
  readonly name: string
  /** Oldest first. */
  readonly versions: readonly AgentVersion[]
  readonly agent_endpoint?: StoredAgentEndpoint
  readonly agent_card?: StoredAgentCard
}

/** The version that every agent begins with. */
export const firstVersion: AgentVersion = {
  version: '1',
  createdAt: 0,
  definition: { kind: 'hosted', cpu: '0.5', memory: '1Gi' },
}

export function findVersion({ versions }: AgentRecord, wanted: string): AgentVersion | undefined {
  return versions.find(({ version }) => version === wanted)
}

export function latestVersion({ versions }: AgentRecord): AgentVersion {
  return versions.at(-1) ?? firstVersion
}

/**
 * Where the endpoint sends a session that names no version: each version gets its percentage of the ids, and
 * an id always goes the same way; the latest version, where there are no rules.
 */
export function routedVersion(record: AgentRecord, sessionId: string): string {
  let place = createHash('sha1').update(sessionId).digest().readUInt32BE() % 100
  for (const rule of record.agent_endpoint?.version_selector?.version_selection_rules ?? []) {
    if (place < rule.traffic_percentage) return rule.agent_version
    place -= rule.traffic_percentage
  }
  return latestVersion(record).version
}

/** The service's agent resource. */
export function agentResource(record: AgentRecord): object {
  return {
    object: 'agent',
    id: record.name,
    name: record.name,
    state: 'enabled',
    versions: { latest: versionResource(record, latestVersion(record)) },
    agent_endpoint: record.agent_endpoint,
    agent_card: record.agent_card,
  }
}

/** The service's agent version resource. */
export function versionResource({ name }: AgentRecord, version: AgentVersion): object {
  return {
    object: 'agent.version',
    id: versionResourceId(name, version),
    name,
    version: version.version,
    description: version.description,
    metadata: version.metadata ?? {},
    created_at: version.createdAt,
    status: 'active',
    definition: version.definition,
  }
}

export function versionResourceId(agent: string, { version }: AgentVersion): string {
  return `${agent}:${version}`
}
