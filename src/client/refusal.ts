/**
 * What an answer outside 2xx means. Layer: client; the one place where a status becomes a code.
 *
 * Invariant: a change that was answered with 408 or a 5xx counts as `ambiguous`: the gateway in front of the
 * service gives them too when the service itself did the work and only its answer was lost. A 4xx is
 * the service's own refusal: nothing was done.
 */
import { ServiceError, type ServiceErrorCode } from './errors.ts'
import { type ReplyHeaders, retryAfterMs } from './retry.ts'
import type { Refusal } from './wire.ts'

/** What a 404 is about, where the service's own code does not say it. */
export type Subject = 'path' | 'session' | 'agent' | 'operation'

export interface RefusedCall {
  readonly what: string
  readonly subject: Subject
  /** Whether the request was to change something. */
  readonly changes: boolean
}

const messageChars = 300

export function refusalError(
  call: RefusedCall,
  status: number,
  headers: ReplyHeaders,
  refusal: Refusal,
  wallMs: number,
): ServiceError {
  const code = refusalCode(status, refusal.code, call.subject)
  const service = [refusal.code, printable(refusal.message)].filter((part) => part !== undefined).join(': ')
  const restMs = retryAfterMs(headers, wallMs)
  const rest =
    restMs === undefined || restMs < 1000
      ? ''
      : `; it asks to be left alone for ${Math.ceil(restMs / 1000)} s`
  return new ServiceError(code, `${call.what}: ${status}${service === '' ? '' : ` (${service})`}${rest}`, {
    status,
    serviceCode: refusal.code,
    requestId: refusal.requestId ?? header(headers, 'x-request-id') ?? header(headers, 'apim-request-id'),
    retryAfterMs: restMs,
    ambiguous: call.changes && (status === 408 || (status >= 500 && code === 'server_error')),
  })
}

function refusalCode(status: number, serviceCode: string | undefined, subject: Subject): ServiceErrorCode {
  switch (status) {
    case 401:
      return 'unauthorized'
    case 403:
      return 'forbidden'
    case 404:
    case 410:
      return serviceCode === 'session_not_found' ? 'session_not_found' : notFoundCodes[subject]
    case 408:
      return 'timeout'
    case 409:
      return 'conflict'
    case 413:
      return 'too_large'
    case 424:
      return 'session_not_ready'
    case 429:
      return 'throttled'
    case 405:
    case 501:
    case 505:
      return 'unsupported'
    default:
      if (status >= 500) return 'server_error'
      return status >= 400 ? 'bad_request' : 'protocol'
  }
}

const notFoundCodes: Readonly<Record<Subject, ServiceErrorCode>> = {
  path: 'not_found',
  session: 'session_not_found',
  agent: 'not_found',
  operation: 'unsupported',
}

function header(headers: ReplyHeaders, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' ? value : undefined
}

/** The service's words on one line of bearable length. */
function printable(message: string | undefined): string | undefined {
  return message?.replace(/\p{Cc}+/gu, ' ').slice(0, messageChars)
}
