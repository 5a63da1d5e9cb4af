/**
 * What a storage class says of its volumes. Layer: csi.
 *
 * Invariant: what no volume of the class could be mounted with is refused before there is a session.
 */
import { CsiError } from './csi-error.ts'
import type { TextMap, VolumeCapability } from './messages.ts'
import { checkAttributes, readEndpoint, readName } from './volume-attributes.ts'

export interface VolumeClass {
  readonly endpoint: string
  readonly agent: string
  /** undefined: the rules of the agent's endpoint choose. */
  readonly agentVersion: string | undefined
  readonly userIdentity: string | undefined
  /** Whether a session goes with its volume. */
  readonly isDeleted: boolean
  /** Attributes of each volume, beside endpoint, agent and session. */
  readonly handedOn: TextMap
}

/** Throws `CsiError` `invalidArgument`. */
export function readClass(
  parameters: TextMap,
  secrets: TextMap,
  capabilities: readonly VolumeCapability[],
): VolumeClass {
  const { endpoint, agent, agentVersion, reclaim = 'keep', session, ...handedOn } = ofTheUser(parameters)
  if (session !== undefined) refuse('session: each volume of a class is a session of its own: leave it out')
  if (reclaim !== 'keep' && reclaim !== 'delete') refuse(`reclaim: "${reclaim}" is neither keep nor delete`)
  const { userIdentity } = handedOn
  if (reclaim === 'delete' && userIdentity !== undefined)
    refuse('reclaim: delete and userIdentity: when a volume is deleted nobody says who it was for: give keep')
  checkAttributes(handedOn, { secrets })
  for (const volumeCapability of capabilities) checkAttributes({}, { volumeCapability })
  return {
    endpoint: readEndpoint(endpoint ?? missing('endpoint')),
    agent: readName('agent', agent ?? missing('agent')),
    agentVersion,
    userIdentity,
    isDeleted: reclaim === 'delete',
    handedOn,
  }
}

/** Without what is the cluster's own, such as the name of the claim; it has a slash in its name. */
export function ofTheUser(parameters: TextMap): TextMap {
  return Object.fromEntries(Object.entries(parameters).filter(([name]) => !name.includes('/')))
}

function missing(parameter: string): never {
  return refuse(`the storage class has no parameter ${parameter}`)
}

function refuse(message: string): never {
  throw new CsiError('invalidArgument', message)
}
