/**
 * Which answers within 2xx say that the service has done what it was asked. Layer: client; the one table of it.
 *
 * Invariant: whatever else comes, be it from a gateway, a proxy or a portal, is no success: the call fails with
 * `protocol`, and a change is `ambiguous`, for it may have been carried out all the same.
 */
import type { ServiceCall, Verb } from './call.ts'
import { ServiceError } from './errors.ts'
import { readJson } from './reply-json.ts'
import type { HttpReply } from './exchange.ts'

/** 202 is a promise, and 204 to an upload says nothing of what was stored. */
const confirming: Readonly<Record<Verb, readonly number[]>> = {
  createSession: [200, 201],
  getSession: [200],
  listSessions: [200],
  stopSession: [200, 202, 204],
  deleteSession: [200, 204],
  patchAgent: [200],
  list: [200],
  download: [200],
  upload: [200, 201],
  delete: [200, 204],
  mkdir: [200, 201, 204],
  logStream: [200],
}

/** Before the body of a 2xx is read. */
export function checkConfirming(call: ServiceCall<unknown>, reply: HttpReply): void {
  const { status, headers } = reply
  const fail = (why: string): never => {
    throw new ServiceError('protocol', `${call.what}: ${why}`, { status })
  }
  if (!confirming[call.verb].includes(status)) fail(`the answer ${status} does not say that it was done`)
  if (!reply.isRequestSent) fail('the service answered before it had all of it')
  const isStream = call.verb === 'download' || call.verb === 'logStream'
  const type = headers['content-type']
  // a file has a length, whatever type the service gives it
  if (
    isStream &&
    typeof type === 'string' &&
    /^\s*text\/html\b/i.test(type) &&
    reply.body.length === undefined
  )
    fail('a page of HTML came instead, as from a proxy or a login page between here and the service')
}

/** The JSON object that an answer about files must be. `mayBeEmpty`: no body at all says as much. */
export async function readAnswer(
  what: string,
  reply: HttpReply,
  { mayBeEmpty = false }: { readonly mayBeEmpty?: boolean } = {},
): Promise<object> {
  const answer = await readJson(what, reply)
  if (answer === undefined && mayBeEmpty) return {}
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer))
    throw new ServiceError('protocol', `${what}: the answer is not of the service's form`, {
      status: reply.status,
    })
  const hasFailed = 'error' in answer && answer.error !== null && answer.error !== undefined
  if (hasFailed || ('success' in answer && answer.success === false))
    throw new ServiceError('protocol', `${what}: the answer ${reply.status} says itself that it failed`, {
      status: reply.status,
    })
  return answer
}

/** Of an answer that has nothing to tell but that it was done. */
export async function readDone(what: string, reply: HttpReply): Promise<void> {
  await readAnswer(what, reply, { mayBeEmpty: true })
}

/** A deletion repeated after an attempt of unknown end finds nothing: that attempt had done it. */
export function unlessAlreadyGone(code: 'not_found' | 'session_not_found'): (error: unknown) => void {
  return (error) => {
    if (!(error instanceof ServiceError && error.code === code && error.ambiguous)) throw error
  }
}
