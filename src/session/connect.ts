/**
 * The client of one session, the checks that it is there and the same, and the sentences for when it is not.
 * Layer: session.
 *
 * Invariant: needs neither lock nor journal: who only asks the service for something stands on this alone.
 */
import { readFileSync } from 'node:fs'
import type { FinishedCall } from '../client/call.ts'
import { trustEverywhere } from '../client/certificates.ts'
import { type Credential, loadDefault, type TokenCredential } from '../client/credential.ts'
import { ServiceError } from '../client/errors.ts'
import type { LaneLevels } from '../client/lanes.ts'
import type { ProxyOptions } from '../client/proxy.ts'
import { SessionClient } from '../client/session-client.ts'
import type { CallOptions } from '../client/session-files.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { ServiceOptions, SessionAddress } from '../options/mount-options.ts'
import { SessionError, type SessionErrorCode } from './session-error.ts'

/** The client by these options; to be closed. */
export function newClient(
  options: ServiceOptions,
  {
    clock,
    logger,
    levels,
    credential,
    onCall,
    onServerDate,
  }: {
    clock: Clock
    logger: Logger
    /** How many calls at once were found good before. */
    levels?: LaneLevels | undefined
    /** Default: the fixed token of the options, else the login of this machine. */
    credential?: Credential | undefined
    onCall?: ((call: FinishedCall) => void) | undefined
    onServerDate?: ((ms: number) => void) | undefined
  },
): SessionClient {
  const { endpoint, token, isolationKey, userIdentity, downloads, uploads, maxFileBytes, caFile } = options
  const ca = caFile === undefined ? undefined : readCertificates(caFile)
  const client = new SessionClient({
    endpoint,
    credential: credential ?? (token === undefined ? login(ca) : { token }),
    isolationKey,
    userIdentity,
    limits: { reads: downloads, writes: uploads, start: levels },
    maxFileBytes,
    ca,
    proxy: proxyOf(options),
    onCall,
    onServerDate,
    clock,
    logger,
  })
  if (client.proxy !== undefined)
    logger.info({ proxy: client.proxy }, 'the service is reached through a proxy')
  return client
}

/** The login goes by the environment's proxy itself, and trusts what the process does. */
function login(ca: string | undefined): TokenCredential {
  let loaded: Promise<TokenCredential> | undefined
  const load = (): Promise<TokenCredential> => {
    trustEverywhere(ca)
    return loadDefault()
  }
  return { getToken: async (scope, options) => (await (loaded ??= load())).getToken(scope, options) }
}

function readCertificates(file: string): string {
  const text = readFileSync(file, 'utf8')
  if (!text.includes('-----BEGIN CERTIFICATE-----'))
    throw new ServiceError('bad_request', `${file}: it must be a file of certificates in the form PEM`)
  return text
}

function proxyOf({ httpsProxy, allProxy, noProxy }: ServiceOptions): ProxyOptions | undefined {
  if (httpsProxy !== undefined) return { url: httpsProxy, noProxy, name: 'HTTPS_PROXY' }
  return allProxy === undefined ? undefined : { url: allProxy, noProxy, name: 'ALL_PROXY' }
}

/** When the session was made, Unix milliseconds, and with which version of the agent. Rejects with `SessionError` `expired` when it is over. */
export async function checkSession(
  client: SessionClient,
  { agent, session }: SessionAddress,
  signal: AbortSignal | undefined,
): Promise<{ readonly createdAtMs: number; readonly agentVersion: string | undefined }> {
  const {
    status,
    createdSeconds = 0,
    agentVersion,
  } = await firstAnswer((options) => client.getSession(agent, session, { signal, ...options }))
  if (status === 'expired' || status === 'deleted' || status === 'deleting' || status === 'failed') {
    throw new SessionError(
      'expired',
      `${agent}/${session}: the service says this session is ${status}: make a new one, what was not uploaded is kept (\`mount-session recover --export DIR ${agent}/${session}\`)`,
    )
  }
  return { createdAtMs: createdSeconds * 1000, agentVersion }
}

/** A mount outlives its session: one that was made again under its name must not get what was meant for it. */
export async function checkSameSession(
  client: SessionClient,
  { agent, session }: SessionAddress,
  createdAtMs: number,
  signal: AbortSignal,
): Promise<void> {
  const { createdSeconds = 0 } = await client.getSession(agent, session, { signal, retry: false })
  if (createdSeconds * 1000 === createdAtMs) return
  throw new ServiceError(
    'session_not_found',
    `${agent}/${session} was deleted and made again under its name: what was not uploaded is kept, \`mount-session unmount --force\` and mount it again, then \`mount-session recover --export DIR\` takes it out`,
  )
}

/**
 * A service that cannot be reached is told at once: mostly the endpoint is misspelt. One that is busy or waking is
 * waited for; what it may have done already is asked for again only if it is `idempotent`.
 */
export async function firstAnswer<Answer>(
  ask: (options: Pick<CallOptions, 'retry'>) => Promise<Answer>,
  { idempotent = true } = {},
): Promise<Answer> {
  try {
    return await ask({ retry: false })
  } catch (error) {
    const isWorthWaiting = error instanceof ServiceError && error.retryable && error.status !== undefined
    if (!isWorthWaiting || (error.ambiguous && !idempotent)) throw error
    return ask({})
  }
}

/** What an error is about: a session, or an agent alone. */
export type Subject = Pick<SessionAddress, 'endpoint' | 'agent' | 'isolationKey'> & {
  readonly session?: string | undefined
}

/** What the user is told of a failure of the first call; errors that are not the service's as they are. */
export function asSessionError(error: unknown, subject: Subject): unknown {
  if (!(error instanceof ServiceError)) return error
  const { endpoint, agent, session, isolationKey } = subject
  const what = session === undefined ? agent : `${agent}/${session}`
  const raise = (code: SessionErrorCode, message: string): SessionError =>
    new SessionError(code, message, { cause: error })
  switch (error.code) {
    case 'unauthorized':
    case 'credential':
      return raise(
        'unauthorized',
        `${what}: not signed in for this project: \`az login\`, or a valid MOUNT_SESSION_TOKEN (${error.message})`,
      )
    case 'forbidden':
      return raise(
        'forbidden',
        `${what}: belongs to another identity, or your role may not use it: see --isolation-key and --user-identity (${error.message})`,
      )
    case 'session_not_found':
    case 'not_found':
      return raise(
        'unknownSession',
        session === undefined
          ? `${what}: no such agent at ${endpoint}`
          : `${what}: no such agent or session at ${endpoint} (it may have been deleted, or ${
              isolationKey === undefined
                ? 'need its --isolation-key'
                : 'have another --isolation-key than the given one'
            }); \`mount-session session list ${agent}\` lists those there are`,
      )
    case 'insecure_endpoint':
      return raise('insecureEndpoint', error.message)
    case 'bad_request':
      return raise('badOptions', error.message)
    default:
      return raise('unreachable', `${endpoint}: ${error.message}`)
  }
}
