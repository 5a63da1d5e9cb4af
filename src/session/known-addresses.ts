/**
 * The sessions and agents that this machine has state of. Layer: session; the command line asks what there is.
 *
 * Invariant: what does not say whose it is, in a form that we know, is not there.
 */
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import type { AgentAddress, SessionAddress } from '../options/mount-options.ts'
import { addressFile, agentFile, agentKey } from './directories.ts'

const agentSchema = v.object({
  endpoint: v.pipe(v.string(), v.url()),
  agent: v.string(),
  isolationKey: v.optional(v.string()),
  userIdentity: v.optional(v.string()),
})
const addressSchema = v.object({ ...agentSchema.entries, session: v.string() })

/** Every session that this machine has state of, mounted or not. */
export function knownSessions(stateRoot: string): readonly SessionAddress[] {
  const sessions = join(stateRoot, 'sessions')
  return namesIn(sessions).flatMap((key) => {
    const address = readAs(join(sessions, key, addressFile), (json) => {
      const { endpoint, agent, session, isolationKey, userIdentity } = v.parse(addressSchema, json)
      return { endpoint, agent, session, isolationKey, userIdentity }
    })
    return address === undefined ? [] : [address]
  })
}

/** Every agent that was mounted as a whole. */
export function knownAgents(stateRoot: string): readonly AgentAddress[] {
  const agents = join(stateRoot, 'agents')
  return namesIn(agents)
    .map((key) => readAgent(join(agents, key)))
    .filter((agent) => agent !== undefined)
}

/** Whose the state directory of an agent's mount is; undefined where it does not say. */
export function readAgent(stateDirectory: string): AgentAddress | undefined {
  return readAs(join(stateDirectory, agentFile), (json) => {
    const { endpoint, agent, isolationKey, userIdentity } = v.parse(agentSchema, json)
    return { endpoint, agent, isolationKey, userIdentity }
  })
}

/** Those of them that a mount of all sessions of an agent has. */
export function knownSessionsOf(address: AgentAddress, stateRoot: string): readonly SessionAddress[] {
  const key = agentKey(address)
  return knownSessions(stateRoot).filter((session) => agentKey(session) === key)
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch {
    /* nothing was ever mounted */
    return []
  }
}

function readAs<Address>(file: string, parse: (json: unknown) => Address): Address | undefined {
  try {
    return parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch {
    /* a log was opened there and the mount then refused */
    return undefined
  }
}
