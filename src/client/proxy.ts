/**
 * Which proxy stands on the way to the endpoint, if any. Layer: client.
 *
 * Invariant: a password is part of `authorization` alone, never of a message or a label. This machine is
 * reached without a proxy, whatever is said.
 */
import { BlockList, isIP } from 'node:net'
import { isLoopback } from './endpoint.ts'
import { ServiceError } from './errors.ts'

export interface ProxyOptions {
  /** `http://[USER:PASSWORD@]HOST[:PORT]`, or `https://…`; without a scheme http. Ports 80 and 443 by default. */
  readonly url: string
  /**
   * Hosts that are reached without it, as `NO_PROXY` has them: separated by commas or blanks, each a name (with all
   * names below it; a leading `.` or `*.` says no more), an address, or a range of addresses (`10.0.0.0/8`); a
   * `:PORT` after a name or an address restricts it to that port; `*` is everything.
   */
  readonly noProxy?: string | undefined
  /** What messages name as the place where it was said. Default: the option `proxy`. */
  readonly name?: string | undefined
}

export interface Proxy {
  readonly host: string
  readonly port: number
  /** Spoken to over TLS. */
  readonly isSecure: boolean
  /** `HOST:PORT` */
  readonly address: string
  readonly name: string
  readonly user: string | undefined
  /** Value of the header `Proxy-Authorization`. */
  readonly authorization: string | undefined
}

/** The proxy for an origin; undefined: none. Fails with `bad_request` for what is no http(s) proxy. */
export function proxyFor(options: ProxyOptions | undefined, origin: string): Proxy | undefined {
  if (options === undefined) return undefined
  const target = new URL(origin)
  return isReachedWithout(target, options.noProxy ?? '') ? undefined : parseProxy(options)
}

function parseProxy({ url: text, name = 'the option proxy' }: ProxyOptions): Proxy {
  const wrong = (what: string): ServiceError =>
    new ServiceError(
      'bad_request',
      `${name} ${what}: it must be http://HOST:PORT or http://USER:PASSWORD@HOST:PORT, special characters of the password as %XX`,
    )
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`)
  if (url === null || url.hostname === '') throw wrong('is not the address of a proxy')
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw wrong(`names a proxy of the kind ${url.protocol}//, which is not supported`)
  const isSecure = url.protocol === 'https:'
  const port = url.port === '' ? (isSecure ? 443 : 80) : Number(url.port)
  let user: string, password: string
  try {
    user = decodeURIComponent(url.username)
    password = decodeURIComponent(url.password)
  } catch {
    throw wrong('has a % in its user or password that is not followed by two digits')
  }
  const credentials = Buffer.from(`${user}:${password}`).toString('base64')
  const isNamed = user !== '' || password !== ''
  return {
    host: bare(url.hostname),
    port,
    isSecure,
    address: `${url.hostname}:${port}`,
    name,
    user: isNamed ? user : undefined,
    authorization: isNamed ? `Basic ${credentials}` : undefined,
  }
}

function isReachedWithout(target: URL, noProxy: string): boolean {
  if (isLoopback(target.hostname)) return true
  const host = withoutDot(bare(target.hostname).toLowerCase())
  const port = target.port === '' ? (target.protocol === 'https:' ? '443' : '80') : target.port
  return noProxy
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => entry !== '' && (entry === '*' || matches(entry, host, port)))
}

function matches(entry: string, host: string, port: string): boolean {
  const range = /^(.+)\/(\d+)$/.exec(entry)
  if (range !== null) return isWithin(host, range[1] ?? '', Number(range[2]))
  const [, bracketed, name = bracketed, wantedPort] =
    isIP(entry) === 6 ? ['', entry] : (/^(?:\[(.+)\]|([^:]+))(?::(\d+))?$/.exec(entry) ?? [])
  if (name === undefined || (wantedPort !== undefined && wantedPort !== port)) return false
  if (isIP(name) !== 0) return isWithin(host, name, isIP(name) === 4 ? 32 : 128)
  const domain = withoutDot(name.replace(/^\*?\./, ''))
  return domain !== '' && (host === domain || host.endsWith(`.${domain}`))
}

function isWithin(host: string, network: string, prefix: number): boolean {
  const kind = isIP(network)
  if (kind === 0 || isIP(host) !== kind || prefix > (kind === 4 ? 32 : 128)) return false
  const range = new BlockList()
  const family = kind === 4 ? 'ipv4' : 'ipv6'
  range.addSubnet(network, prefix, family)
  return range.check(host, family)
}

/** Without the brackets around an address of IPv6. */
function bare(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, '$1')
}

function withoutDot(name: string): string {
  return name.replace(/\.$/, '')
}
