/**
 * Looks at the way to the service, and at what it says. Layer: cli.
 *
 * Invariant: changes nothing, and asks with the client that a mount uses; only what that does not tell (name, certificate,
 * proxy) is looked at beside it.
 */
import { lookup } from 'node:dns/promises'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import * as tls from 'node:tls'
import { systemClock } from '../../clock.ts'
import { ServiceError } from '../../client/errors.ts'
import { trustEverywhere } from '../../client/certificates.ts'
import { loadDefault, tokenScope } from '../../client/credential.ts'
import type { Proxy } from '../../client/proxy.ts'
import type { SessionClient } from '../../client/session-client.ts'
import type { Session } from '../../client/wire.ts'
import { silentLogger } from '../../log.ts'
import type { OptionValues } from '../../options/table.ts'
import { newClient } from '../../session/connect.ts'
import { codeOf, failure, ok, skipped, textOf, type Verdict, warning } from './finding.ts'
import {
  certificateVerdict,
  clockVerdict,
  isolationVerdict,
  loginVerdict,
  reachVerdict,
  roleVerdict,
  sessionVerdict,
} from './service-verdicts.ts'

export interface Endpoint {
  readonly url: URL
  /** As the client takes it. */
  readonly text: string
}

export async function checkDns({ url }: Endpoint, hasProxy: boolean): Promise<Verdict> {
  if (hasProxy) return skipped('the proxy looks the name up')
  try {
    const addresses = await lookup(url.hostname.replace(/^\[|\]$/g, ''), { all: true })
    return ok(`${url.hostname} is ${addresses.map(({ address }) => address).join(', ')}`)
  } catch (error) {
    return failure(
      `${url.hostname} is not found (${codeOf(error)})`,
      'check the spelling of the endpoint, and the network (`getent hosts NAME`)',
    )
  }
}

/** Whether anything listens there; what it makes of us is seen by the service's answer. */
export async function checkProxy(
  proxy: Proxy | undefined,
  { httpsProxy, allProxy }: Pick<OptionValues, 'httpsProxy' | 'allProxy'>,
  signal: AbortSignal,
): Promise<Verdict> {
  if (proxy === undefined) {
    const isSet = httpsProxy !== undefined || allProxy !== undefined
    return ok(isSet ? 'one is set, and not for this endpoint (NO_PROXY, or this machine)' : 'none')
  }
  const { host, port, address, name } = proxy
  const socket = connect({ host, port, signal })
  const verdict = await new Promise<Verdict>((resolve) => {
    socket.once('connect', () => resolve(ok(`${address} (${name}) answers`)))
    socket.once('error', (error) =>
      resolve(
        failure(
          `${address} (${name}) cannot be reached (${codeOf(error)})`,
          `check ${name}; NO_PROXY names hosts that are reached without it`,
        ),
      ),
    )
  })
  socket.destroy()
  return verdict
}

export async function checkCertificates(
  { url }: Endpoint,
  hasProxy: boolean,
  caFile: string | undefined,
  signal: AbortSignal,
): Promise<Verdict> {
  if (url.protocol === 'http:') return ok('not needed: http to this machine')
  if (hasProxy) return skipped('behind a proxy: what matters is whether the service answers')
  const extra = process.env['NODE_EXTRA_CA_CERTS']
  const sources = [
    ...('getCACertificates' in tls ? ["this machine's store"] : []),
    ...(extra === undefined || extra === '' ? [] : [`NODE_EXTRA_CA_CERTS (${extra})`]),
    ...(caFile === undefined ? [] : [`--ca-file (${caFile})`]),
  ]
  const ca = [
    ...tls.getCACertificates('default'),
    ...tls.getCACertificates('system'),
    ...(caFile === undefined ? [] : [readFileSync(caFile, 'utf8')]),
  ]
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = url.port === '' ? 443 : Number(url.port)
  return await new Promise<Verdict>((resolve) => {
    const socket = tls.connect({
      host,
      port,
      ca,
      rejectUnauthorized: false,
      ...(/^[\d.:]+$/.test(host) ? {} : { servername: host }),
    })
    signal.addEventListener('abort', () => socket.destroy(), { once: true })
    socket.once('error', (error) => resolve(skipped(`no TLS to look at (${codeOf(error)})`)))
    socket.once('secureConnect', () => {
      const { issuer, valid_to } = socket.getPeerCertificate()
      resolve(
        certificateVerdict({
          isTrusted: socket.authorized,
          reason: codeOf(socket.authorizationError),
          issuer: [issuer.O, issuer.CN].filter((part) => part !== undefined).join(', ') || 'unknown',
          validUntilMs: Date.parse(valid_to),
          nowMs: Date.now(),
          sources,
        }),
      )
      socket.destroy()
    })
  })
}

export interface Login {
  readonly verdict: Verdict
  /** To ask the service with; undefined: there is none. */
  readonly token: string | undefined
}

/** Logs in as a mount would, once for all checks. */
export async function logIn({ token, caFile }: OptionValues, signal: AbortSignal): Promise<Login> {
  const nowMs = Date.now()
  if (token !== undefined)
    return { token, verdict: loginVerdict({ source: 'MOUNT_SESSION_TOKEN', token, expiresMs: NaN, nowMs }) }
  try {
    trustEverywhere(caFile === undefined ? undefined : readFileSync(caFile, 'utf8'))
    const credential = await loadDefault()
    const answer = await credential.getToken(tokenScope, { abortSignal: signal })
    if (answer === null) throw new Error('the credential has no token')
    const source = 'the login of this machine'
    const facts = { source, token: answer.token, expiresMs: answer.expiresOnTimestamp, nowMs }
    return { token: answer.token, verdict: loginVerdict(facts) }
  } catch (error) {
    const verdict = failure(`no token: ${textOf(error)}`, '`az login`, or a token in MOUNT_SESSION_TOKEN')
    return { token: undefined, verdict }
  }
}

/** What the service said, once for all checks that go by it. */
export interface Answer {
  /** Whether it was asked for with a token. */
  readonly isLoggedIn: boolean
  readonly session: Session | undefined
  readonly error: unknown
  /** Of the answers, in milliseconds; the first is of a new connection. */
  readonly tripsMs: readonly number[]
  readonly askedMs: number
  readonly answeredMs: number
  readonly serverMs: number
}

const trips = 4

/* refused, which is an answer as well: how far away the service is, and what time it has, needs no login */
const noToken = 'none'

/** Asks for the session, or for one that cannot be where none is named: whatever the answer, it is one. */
export async function askService(
  values: OptionValues,
  { text }: Endpoint,
  token: string | undefined,
  named: { readonly agent: string; readonly session: string } | undefined,
  signal: AbortSignal,
): Promise<Answer> {
  let serverMs = NaN
  const client = newClient(
    { ...values, token: token ?? noToken, endpoint: text },
    { clock: systemClock, logger: silentLogger, onServerDate: (ms) => (serverMs = ms) },
  )
  const { agent, session } = named ?? { agent: 'doctor', session: 'no-such-session' }
  const tripsMs: number[] = []
  let last: { session: Session | undefined; error: unknown } = { session: undefined, error: undefined }
  let askedMs = Date.now()
  try {
    for (let trip = 0; trip < trips; trip++) {
      askedMs = Date.now()
      const since = performance.now()
      last = await ask(client, agent, session, signal)
      if (!isAnswer(last.error)) break
      tripsMs.push(performance.now() - since)
    }
    return { ...last, isLoggedIn: token !== undefined, tripsMs, askedMs, answeredMs: Date.now(), serverMs }
  } finally {
    await client.close()
  }
}

async function ask(
  client: SessionClient,
  agent: string,
  session: string,
  signal: AbortSignal,
): Promise<{ readonly session: Session | undefined; readonly error: unknown }> {
  try {
    return { session: await client.getSession(agent, session, { signal, retry: false }), error: undefined }
  } catch (error) {
    return { session: undefined, error }
  }
}

/** Whether the service itself has answered, whatever it thinks of us. */
function isAnswer(error: unknown): boolean {
  return error === undefined || (error instanceof ServiceError && error.status !== undefined)
}

export function describeReach({ error, tripsMs }: Answer): Verdict {
  if (!isAnswer(error)) return reachVerdict(error)
  const [first = 0, ...others] = tripsMs
  const trip = median(others)
  const values = { connectMs: Math.round(first), roundTripMs: Math.round(trip) }
  const what = `answers in ${Math.round(trip)} ms (the first time, with the connection, ${Math.round(first)} ms)`
  return trip > 1000
    ? warning(
        what,
        'each thing that is not fetched ahead waits for so long: a network nearer to the region helps',
        values,
      )
    : ok(what, values)
}

export function describeClock({ askedMs, answeredMs, serverMs }: Answer): Verdict {
  return clockVerdict(askedMs, answeredMs, serverMs)
}

export function describeRole({ error, isLoggedIn }: Answer, isNamed: boolean): Verdict {
  if (!isLoggedIn) return skipped('not known without a login')
  if (!isAnswer(error)) return skipped('the service does not answer')
  const code = error instanceof ServiceError ? error.code : undefined
  /* for a session that cannot be, what is not found says that we may look */
  return roleVerdict(
    code === 'not_found' || code === 'session_not_found' ? (isNamed ? code : undefined) : code,
  )
}

export function describeSession({ session, error, isLoggedIn }: Answer, name: string | undefined): Verdict {
  if (name === undefined) return skipped('none was named: `mount-session doctor AGENT/SESSION`')
  if (!isLoggedIn) return skipped('not known without a login')
  if (session !== undefined) return sessionVerdict(name, session, Date.now())
  const [agent = ''] = name.split('/')
  if (!isAnswer(error)) return skipped('the service does not answer')
  return failure(`${name}: ${textOf(error)}`, `\`mount-session session list ${agent}\` lists those there are`)
}

export function describeIsolation(
  { error, isLoggedIn }: Answer,
  name: string | undefined,
  hasKey: boolean,
): Verdict {
  if (name === undefined) return skipped('none was named')
  return isLoggedIn ? isolationVerdict(error, hasKey) : skipped('not known without a login')
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
