/**
 * The names of what the controller makes: of a volume's session, and of the volume itself. Layer: csi.
 *
 * Invariant: both follow from the request alone, so that a call that comes again finds what it made; a volume's id says
 * all that it takes to delete its session, for nobody tells more by then.
 *
 * A volume is `ACCOUNT/PROJECT/AGENT/SESSION`, with any other endpoint `ENDPOINT/AGENT/SESSION`, each percent-encoded,
 * and `/delete` at its end where the session goes with the volume. A session is `NAME-HASH`: the volume's name, and a
 * hash of what was asked for.
 */
import { createHash } from 'node:crypto'
import { CsiError } from './csi-error.ts'

export interface VolumeIdentity {
  /** Without a slash at its end. */
  readonly endpoint: string
  readonly agent: string
  readonly session: string
  /** Whether the session is deleted with the volume. */
  readonly isDeleted: boolean
}

/** Bytes of an id, by the interface. */
const maxIdLength = 128
/** Characters of a session's id, by the service. */
const maxSessionLength = 128
const deleteMark = '/delete'
const usualEndpoint =
  /^https:\/\/([A-Za-z0-9-]+)\.services\.ai\.azure\.com\/api\/projects\/([A-Za-z0-9._-]+)$/
const sessionPattern = /^[A-Za-z0-9_-]{8,128}$/

export function volumeId({ endpoint, agent, session, isDeleted }: VolumeIdentity): string {
  return `${placeOf(endpoint, agent)}${session}${isDeleted ? deleteMark : ''}`
}

/** undefined: an id that `volumeId` has not made. */
export function parseVolumeId(id: string): VolumeIdentity | undefined {
  const isDeleted = id.endsWith(deleteMark)
  const parts = (isDeleted ? id.slice(0, -deleteMark.length) : id).split('/')
  const session = parts.pop() ?? ''
  const agent = decoded(parts.pop() ?? '')
  const endpoint = endpointOf(parts)
  if (agent === undefined || agent === '' || endpoint === undefined) return undefined
  const identity = { endpoint, agent, session, isDeleted }
  return sessionPattern.test(session) && volumeId(identity) === id ? identity : undefined
}

/** The part of a session's id that is the volume's name; throws `CsiError` where an id has no room for it. */
export function sessionPrefix(
  name: string,
  { endpoint, agent }: { endpoint: string; agent: string },
): string {
  const taken = placeOf(endpoint, agent).length + deleteMark.length + hashLength + 1
  const room = Math.min(maxIdLength - taken, maxSessionLength - hashLength - 1)
  if (room < nameHashLength)
    throw new CsiError(
      'invalidArgument',
      `an id of a volume can have ${maxIdLength} bytes, and endpoint and agent leave none for the session: the storage class needs a shorter endpoint (https://ACCOUNT.services.ai.azure.com/api/projects/PROJECT is kept in short) or agent`,
    )
  const clean = name.replaceAll(/[^A-Za-z0-9_-]/g, '-')
  if (clean === name && name.length <= room) return name
  /* two names must not become one */
  const rest = clean.slice(0, Math.max(0, room - nameHashLength - 1))
  return `${rest}${rest === '' ? '' : '-'}${hash(name, nameHashLength)}`
}

/** The session of a volume of this name that was asked for with `wanted`, any value of JSON. */
export function sessionId(prefix: string, wanted: unknown): string {
  return `${prefix}-${hash(canonical(wanted), hashLength)}`
}

/** Whether a session was made for a volume of the same name, whatever else was asked for. */
export function isOfName(session: string, prefix: string): boolean {
  return session.startsWith(`${prefix}-`) && /^[0-9a-f]{8}$/.test(session.slice(prefix.length + 1))
}

const hashLength = 8
const nameHashLength = 12

function hash(text: string, length: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, length)
}

/* maps have no order on the wire */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}

function placeOf(endpoint: string, agent: string): string {
  const [, account, project] = usualEndpoint.exec(endpoint) ?? []
  const start =
    account === undefined || project === undefined ? encodeURIComponent(endpoint) : `${account}/${project}`
  return `${start}/${encodeURIComponent(agent)}/`
}

function endpointOf(parts: readonly string[]): string | undefined {
  const [first = '', second] = parts
  if (parts.length === 1) return decoded(first)
  return parts.length === 2 ? `https://${first}.services.ai.azure.com/api/projects/${second}` : undefined
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
