/**
 * The service's JSON as it is on the wire, and the checks it has to pass. Layer: client.
 *
 * Invariant: nothing unchecked leaves this file. Unknown fields are kept, absent optional ones are no
 * error, names and types are the wire's own.
 */
import * as v from 'valibot'
import { ServiceError } from './errors.ts'
import type { RemoteEntry } from './session-files.ts'

const optionalNumber = v.nullish(v.number())
const optionalString = v.nullish(v.string())

const sessionSchema = v.looseObject({
  agent_session_id: v.string(),
  version_indicator: v.nullish(
    v.looseObject({ type: v.optional(v.string()), agent_version: v.optional(v.string()) }),
  ),
  /** `creating`, `active`, `idle`, `updating`, `failed`, `deleting`, `deleted`, `expired`, or a newer one. */
  status: optionalString,
  created_at: optionalNumber,
  last_accessed_at: optionalNumber,
  expires_at: optionalNumber,
  stopped_at: optionalNumber,
})

export type WireSession = v.InferOutput<typeof sessionSchema>

/** A session of an agent. Times are Unix seconds; what the service does not say is undefined. */
export interface Session {
  readonly sessionId: string
  /** The version of the agent that it runs. */
  readonly agentVersion: string | undefined
  /** `creating`, `active`, `idle`, `updating`, `failed`, `deleting`, `deleted`, `expired`, or a newer one. */
  readonly status: string | undefined
  readonly createdSeconds: number | undefined
  readonly lastAccessedSeconds: number | undefined
  readonly expiresSeconds: number | undefined
  /** There once it has gone idle or was stopped. */
  readonly stoppedSeconds: number | undefined
}

const agentSchema = v.looseObject({
  name: v.optional(v.string()),
  id: v.optional(v.string()),
  versions: v.optional(
    v.looseObject({ latest: v.optional(v.looseObject({ version: v.optional(v.string()) })) }),
  ),
})

export type WireAgent = v.InferOutput<typeof agentSchema>

/** An agent. */
export interface Agent {
  readonly name: string | undefined
  readonly latestVersion: string | undefined
  /** All that the service says of it, unchecked: what that is depends on the version of the service. */
  readonly resource: Readonly<Record<string, unknown>>
}

const cursorFields = { has_more: v.nullish(v.boolean()), last_id: optionalString }

const sessionPageSchema = v.looseObject({ data: v.array(sessionSchema), ...cursorFields })

export type WireSessionPage = v.InferOutput<typeof sessionPageSchema>

/* `is_dir` and textual times come from servers of the form before `is_directory`. */
const fileEntrySchema = v.looseObject({
  name: v.optional(v.unknown()),
  size: v.optional(v.unknown()),
  is_directory: v.nullish(v.boolean()),
  is_dir: v.nullish(v.boolean()),
  modified_time: v.optional(v.unknown()),
})

const sizeSchema = v.nullish(v.pipe(v.number(), v.safeInteger(), v.minValue(0)))

/* one entry that is not of the form must not hide the others: each is checked by itself */
const filePageSchema = v.looseObject({ entries: v.array(v.unknown()), ...cursorFields })

export type FilePage = v.InferOutput<typeof filePageSchema>

const uploadReplySchema = v.looseObject({ path: optionalString, bytes_written: optionalNumber })

/** What the service has of a file. */
export interface UploadReply {
  readonly path: string
  readonly bytesWritten: number
}

const errorSchema = v.looseObject({
  error: v.looseObject({
    code: optionalString,
    message: optionalString,
    additionalInfo: v.nullish(v.looseObject({ request_id: optionalString })),
  }),
})

/** What the service says of a refusal, as far as it is of its own form. */
export interface Refusal {
  readonly code: string | undefined
  readonly message: string | undefined
  readonly requestId: string | undefined
}

export const parseSession = parser(sessionSchema)
export const parseSessionPage = parser(sessionPageSchema)
export const parseAgent = parser(agentSchema)
export const parseFilePage = parser(filePageSchema)
export const parseUploadReply = parser(uploadReplySchema)

/** Never fails: a proxy's own answer has no envelope. */
export function parseRefusal(answer: unknown): Refusal {
  const result = v.safeParse(errorSchema, answer)
  if (!result.success) return { code: undefined, message: undefined, requestId: undefined }
  const { code, message, additionalInfo } = result.output.error
  return {
    code: code ?? undefined,
    message: message ?? undefined,
    requestId: additionalInfo?.request_id ?? undefined,
  }
}

export function toSession(wire: WireSession): Session {
  return {
    sessionId: wire.agent_session_id,
    agentVersion: wire.version_indicator?.agent_version,
    status: wire.status ?? undefined,
    createdSeconds: wire.created_at ?? undefined,
    lastAccessedSeconds: wire.last_accessed_at ?? undefined,
    expiresSeconds: wire.expires_at ?? undefined,
    stoppedSeconds: wire.stopped_at ?? undefined,
  }
}

export function toAgent(wire: WireAgent): Agent {
  return { name: wire.name, latestVersion: wire.versions?.latest?.version, resource: wire }
}

/**
 * An entry of a listing; undefined for one whose name no directory can have, or that does not say what it is. The
 * size of a directory and a time that cannot be are nothing to leave it out for.
 */
export function toRemoteEntry(wire: unknown): RemoteEntry | undefined {
  const entry = v.safeParse(fileEntrySchema, wire)
  if (!entry.success || !isFileName(entry.output.name)) return undefined
  const { name, is_directory, is_dir, modified_time } = entry.output
  const isDirectory = is_directory ?? is_dir ?? false
  const size = v.safeParse(sizeSchema, entry.output.size)
  if (!size.success && !isDirectory) return undefined
  return {
    name,
    isDirectory,
    size: size.success ? (size.output ?? 0) : 0,
    modifiedSeconds: toSeconds(modified_time),
  }
}

/** As many names go into one line of the log. */
const maxNamed = 5

/** What the log says of entries of a directory that are left out. */
export function leftOut(directory: string, entries: readonly unknown[]): [fields: object, message: string] {
  const names = entries.slice(0, maxNamed).map(nameOnWire)
  const message = names.some(isFileName)
    ? 'the service lists names without saying what they are; they are left out'
    : 'the service lists names that no directory can have; they are left out'
  return [{ directory, names }, message]
}

/** The name of an entry as it is on the wire, whatever that is. */
function nameOnWire(entry: unknown): unknown {
  return typeof entry === 'object' && entry !== null && 'name' in entry ? entry.name : undefined
}

/** The names on a page, undefined for what cannot be one: paging goes by them, and remembers them. */
export function entryNames(page: FilePage): (string | undefined)[] {
  return page.entries.map((entry) => {
    const name = nameOnWire(entry)
    return typeof name === 'string' && name.length <= 1024 ? name : undefined
  })
}

export function sessionNames(page: WireSessionPage): string[] {
  return page.data.map((session) => session.agent_session_id)
}

/** Whether a name can stand in a directory: not empty, `.` or `..`, without `/` or NUL, 255 bytes at most, UTF-8. */
export function isFileName(name: unknown): name is string {
  if (typeof name !== 'string') return false
  if (name === '' || name === '.' || name === '..') return false
  return !/[/\0]/.test(name) && name.isWellFormed() && Buffer.byteLength(name) <= 255
}

/** Later than any clock of a service: milliseconds taken for seconds, or no time at all. */
const maxSeconds = Date.UTC(9999, 11, 31) / 1000

function toSeconds(time: unknown): number {
  if (typeof time !== 'number' && typeof time !== 'string') return 0
  const seconds = typeof time === 'number' || /^\d+$/.test(time) ? Number(time) : Date.parse(time) / 1000
  return seconds > 0 && seconds <= maxSeconds ? seconds : 0
}

function parser<S extends v.GenericSchema>(schema: S): (answer: unknown, what: string) => v.InferOutput<S> {
  return (answer, what) => {
    const result = v.safeParse(schema, answer)
    if (result.success) return result.output
    const where = v.getDotPath(result.issues[0]) ?? 'the whole'
    throw new ServiceError('protocol', `${what}: the answer is not of the service's form, at ${where}`)
  }
}
