/**
 * What goes wrong at a proxy, or on the way to it, and what to do about it. Layer: client.
 *
 * Invariant: decided by status and by code. What somebody has to mend at the proxy (credentials, a permission, a
 * login page) is `proxy_refused`; what passes by itself is a failure of the network. No message has a password in it.
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { isUntrusted } from './certificates.ts'
import type { ServiceErrorCode } from './errors.ts'
import type { Proxy } from './proxy.ts'

/** A failure of the proxy, or on the way to it; `code` is that of the `ServiceError` that it becomes. */
export class ProxyFailure extends Error {
  override readonly name = 'ProxyFailure'
  readonly code: ServiceErrorCode

  constructor(code: ServiceErrorCode, message: string, cause?: unknown) {
    super(message, { cause })
    this.code = code
  }
}

/** The sentences, each with what to do. */
export class Sayings {
  readonly #proxy: Proxy
  readonly #target: string
  readonly #who: string
  readonly #around: string

  constructor(proxy: Proxy, target: string) {
    this.#proxy = proxy
    this.#target = target
    this.#who = `the proxy ${proxy.address} (${proxy.name})`
    this.#around = `or name the host in NO_PROXY to go without it`
  }

  unreachable(cause: Error): ProxyFailure {
    const why = codeOf(cause)
    return new ProxyFailure(
      'network',
      `${this.#who} cannot be reached (${why}): check ${this.#proxy.name}, ${this.#around}`,
      cause,
    )
  }

  silent(ms: number): ProxyFailure {
    return new ProxyFailure(
      'timeout',
      `${this.#who} has not opened the way within ${ms} ms: check ${this.#proxy.name}, ${this.#around}`,
    )
  }

  cut(cause: Error): ProxyFailure {
    const code = codeOf(cause)
    return code.startsWith('HPE_')
      ? new ProxyFailure(
          'proxy_refused',
          `${this.#who} does not speak HTTP: check ${this.#proxy.name}`,
          cause,
        )
      : new ProxyFailure('network', `${this.#who} ended the connection (${code})`, cause)
  }

  untrusted(cause: Error): ProxyFailure {
    return new ProxyFailure(
      'protocol',
      `the certificate of ${this.#who} is not trusted (${codeOf(cause)}): give --ca-file the certificate of whoever signed it, or install it on this machine`,
      cause,
    )
  }

  /** Undefined: the way is open. */
  refusal({ statusCode: status = 0, headers }: IncomingMessage, head: Buffer): ProxyFailure | undefined {
    if (status >= 200 && status <= 299) {
      // TLS lets the client speak first: what comes unasked is a page
      return head.length === 0 && !isPage(headers) ? undefined : this.#page(status)
    }
    // tinyproxy says 401 of credentials that are wrong
    if (status === 407 || status === 401) return this.#wantsCredentials(status, headers)
    // 511 is what a network answers that wants a login first
    if ((status >= 300 && status <= 399) || status === 511) return this.#page(status)
    if (status === 408 || status === 429 || status >= 500)
      return new ProxyFailure('network', `${this.#who} did not get through to ${this.#target} (${status})`)
    return new ProxyFailure(
      'proxy_refused',
      `${this.#who} does not let anybody through to ${this.#target} (${status}): have it allowed there, ${this.#around}`,
    )
  }

  brokenTls(error: Error): Error {
    if (isUntrusted(error) || error instanceof ProxyFailure) return error
    return codeOf(error).startsWith('ERR_SSL_') ? this.#page(200, error) : this.cut(error)
  }

  #page(status: number, cause?: Error): ProxyFailure {
    return new ProxyFailure(
      'proxy_refused',
      `${this.#who} answered with a page of its own (${status}) in place of ${this.#target}: sign in to it with a browser, ${this.#around}`,
      cause,
    )
  }

  #wantsCredentials(status: number, headers: IncomingHttpHeaders): ProxyFailure {
    const { user, name, address } = this.#proxy
    const offered = schemes(headers['proxy-authenticate'])
    if (offered.length > 0 && !offered.includes('basic'))
      return new ProxyFailure(
        'proxy_refused',
        `${this.#who} wants to be signed in to by ${offered.join(' or ')} (${status}), and Basic alone is spoken here: put a local proxy between that signs in (cntlm, px) and name that one in ${name}, ${this.#around}`,
      )
    const remedy = `${name}=http://USER:PASSWORD@${address}, special characters as %XX`
    return new ProxyFailure(
      'proxy_refused',
      user === undefined
        ? `${this.#who} wants credentials (${status}): give them in ${remedy}`
        : `${this.#who} does not take the credentials of ${user} (${status}): correct them in ${remedy}`,
    )
  }
}

function isPage(headers: IncomingHttpHeaders): boolean {
  return headers['content-type']?.startsWith('text/html') === true
}

/** Names of the schemes of `Proxy-Authenticate`, in lower case; parameters have a `=` behind their name. */
function schemes(header: string | string[] | undefined): string[] {
  return [header ?? []]
    .flat()
    .flatMap((line) => line.split(','))
    .flatMap((part) => /^\s*([a-z0-9-]+)(?=\s+[^=\s]|\s*$)/i.exec(part)?.[1]?.toLowerCase() ?? [])
}

function codeOf(error: Error): string {
  const { code = error.name } = error as NodeJS.ErrnoException
  return code
}
