/**
 * What a failure below HTTP means. Layer: client; the one place where a code of Node or undici becomes ours.
 *
 * Invariant: decided by code, never by message; an unknown one is the network's.
 */
import { isUntrusted } from './certificates.ts'
import { abortedError, ClientClosed, ServiceError } from './errors.ts'
import { ProxyFailure } from './proxy-failure.ts'

const timeoutCodes: ReadonlySet<string> = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'ETIMEDOUT',
])

export interface FailedExchange {
  readonly what: string
  readonly cause: unknown
  /** A change of which something was sent. */
  readonly ambiguous: boolean
  /** The answer had begun. */
  readonly answered: boolean
}

export function connectionFailure({ what, cause, ambiguous, answered }: FailedExchange): ServiceError {
  if (cause instanceof ServiceError) return ambiguous ? cause.asAmbiguous() : cause
  if (cause instanceof ProxyFailure)
    return new ServiceError(cause.code, `${what}: ${cause.message}`, { cause })
  const code = errorCode(cause)
  if (timeoutCodes.has(code)) return new ServiceError('timeout', `${what}: ${code}`, { ambiguous, cause })
  // Within a body the parser fails for a connection that was cut, and does not tell that from nonsense.
  if (code === 'UND_ERR_HEADERS_OVERFLOW' || (!answered && isParserError(cause)))
    return new ServiceError('protocol', `${what}: the answer is no HTTP`, { ambiguous, cause })
  if (isUntrusted(cause))
    return new ServiceError(
      'protocol',
      `${what}: the server's certificate is not trusted (${code}): give --ca-file the certificate of whoever signed it, or install it on this machine`,
      { cause },
    )
  if (code.startsWith('ERR_TLS_'))
    return new ServiceError('protocol', `${what}: the server's certificate is for another name (${code})`, {
      cause,
    })
  if (code === 'UND_ERR_INVALID_ARG')
    return new ServiceError('bad_request', `${what}: it cannot be sent like this`, { cause })
  if (code === 'UND_ERR_DESTROYED' || code === 'UND_ERR_CLOSED')
    return abortedError(what, new ClientClosed(), ambiguous)
  return new ServiceError('network', `${what}: the connection failed${code === '' ? '' : ` (${code})`}`, {
    ambiguous,
    cause,
  })
}

/* undici's class for it has no code that is always set, and is loaded only with undici. */
function isParserError(cause: unknown): boolean {
  return cause instanceof Error && cause.name === 'HTTPParserError'
}

function errorCode(cause: unknown): string {
  const code: unknown = cause instanceof Error && 'code' in cause ? cause.code : undefined
  return typeof code === 'string' ? code : ''
}
