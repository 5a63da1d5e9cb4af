/**
 * The project's endpoint and the paths below it. Layer: client.
 *
 * Invariant: a token is only ever sent to the endpoint's own origin, over https, or http on this machine.
 */
import { ServiceError } from './errors.ts'

export interface Endpoint {
  readonly origin: string
  /** The path that every route follows, without a `/` at its end. */
  readonly basePath: string
}

/** Fails with `bad_request` for what is no http(s) address, `insecure_endpoint` for plain http to a far host. */
export function parseEndpoint(text: string): Endpoint {
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:'))
    throw new ServiceError('bad_request', `endpoint ${JSON.stringify(text)} is not an https address`)
  if (url.protocol === 'http:' && !isLoopback(url.hostname))
    throw new ServiceError(
      'insecure_endpoint',
      `endpoint ${url.origin}: a token is not sent over plain http to another machine; use https`,
    )
  return { origin: url.origin, basePath: url.pathname.replace(/\/+$/, '') }
}

/** Whether a hostname, as a URL has it, is this machine. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname)
}

export type QueryParameters = Readonly<Record<string, string | number | boolean | undefined>>

export function queryString(query: QueryParameters): string {
  let text = ''
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) text += `${text === '' ? '' : '&'}${name}=${encodeStrictly(String(value))}`
  }
  return text
}

/**
 * One segment of a route. An empty one would be collapsed by the service and another resource be meant:
 * `bad_request`, as for `.` and `..`.
 */
export function segment(kind: string, name: string): string {
  if (name === '' || name === '.' || name === '..')
    throw new ServiceError('bad_request', `${JSON.stringify(name)} is not the name of ${kind}`)
  return encodeStrictly(name)
}

/** The `path` parameter for a path in the session's home: `.` for the home itself, `/a/b` below it. */
export function remotePath(path: string): string {
  const inner = path.replace(/^\/+|\/+$/g, '')
  return inner === '' || inner === '.' ? '.' : `/${inner}`
}

/** What needs no encoding. */
const plain = /^[\w.~-]*$/

/** Everything but the unreserved characters, as a form decoder and a URI decoder read it alike. */
function encodeStrictly(text: string): string {
  if (plain.test(text)) return text
  if (!text.isWellFormed())
    throw new ServiceError('bad_request', `${JSON.stringify(text)} is not well-formed text`)
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}
