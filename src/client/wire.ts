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

/** A session. Times are Unix seconds; `stopped_at` is there once it has gone idle or was stopped. */
export type Session = v.InferOutput<typeof sessionSchema>

const agentSchema = v.looseObject({ name: v.optional(v.string()), id: v.optional(v.string()) })

/** The agent object; what it holds beside its name depends on the version of the service. */
export type Agent = v.InferOutput<typeof agentSchema>

const cursorFields = { has_more: v.nullish(v.boolean()), last_id: optionalString }

const sessionPageSchema = v.looseObject({ data: v.array(sessionSchema), ...cursorFields })

export type SessionPage = v.InferOutput<typeof sessionPageSchema>

/* `is_dir` and textual times come from servers of the form before `is_directory`. */
const fileEntrySchema = v.looseObject({
  name: v.unknown(),
  size: v.nullish(v.pipe(v.number(), v.safeInteger(), v.minValue(0))),
  is_directory: v.nullish(v.boolean()),
  is_dir: v.nullish(v.boolean()),
  modified_time: v.nullish(v.union([v.number(), v.string()])),
})

const filePageSchema = v.looseObject({ entries: v.array(fileEntrySchema), ...cursorFields })

export type WireEntry = v.InferOutput<typeof fileEntrySchema>
export type FilePage = v.InferOutput<typeof filePageSchema>

const uploadReplySchema = v.looseObject({ path: optionalString, bytes_written: optionalNumber })

export type UploadReply = v.InferOutput<typeof uploadReplySchema>

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

/** An entry of a listing, or undefined for one whose name no directory can have. */
export function toRemoteEntry(wire: WireEntry): RemoteEntry | undefined {
  if (!isFileName(wire.name)) return undefined
  return {
    name: wire.name,
    isDirectory: wire.is_directory ?? wire.is_dir ?? false,
    size: wire.size ?? 0,
    modifiedSeconds: toSeconds(wire.modified_time ?? 0),
  }
}

/** The names on a page, undefined for what cannot be one: paging goes by them, and remembers them. */
export function entryNames(page: FilePage): (string | undefined)[] {
  return page.entries.map(({ name }) => (typeof name === 'string' && name.length <= 1024 ? name : undefined))
}

export function sessionNames(page: SessionPage): string[] {
  return page.data.map((session) => session.agent_session_id)
}

/** Whether a name can stand in a directory: not empty, `.` or `..`, without `/` or NUL, 255 bytes at most, UTF-8. */
export function isFileName(name: unknown): name is string {
  if (typeof name !== 'string') return false
  if (name === '' || name === '.' || name === '..') return false
  return !/[/\0]/.test(name) && name.isWellFormed() && Buffer.byteLength(name) <= 255
}

function toSeconds(time: number | string): number {
  const seconds = typeof time === 'number' || /^\d+$/.test(time) ? Number(time) : Date.parse(time) / 1000
  return Number.isFinite(seconds) && seconds > 0 ? seconds : 0
}

function parser<S extends v.GenericSchema>(schema: S): (answer: unknown, what: string) => v.InferOutput<S> {
  return (answer, what) => {
    const result = v.safeParse(schema, answer)
    if (result.success) return result.output
    const where = v.getDotPath(result.issues[0]) ?? 'the whole'
    throw new ServiceError('protocol', `${what}: the answer is not of the service's form, at ${where}`)
  }
}
