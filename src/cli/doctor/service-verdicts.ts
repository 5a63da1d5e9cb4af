/**
 * Whether the service can be reached and used from here: verdicts from facts. Layer: cli.
 *
 * Invariant: looks at nothing itself; `service-checks.ts` does. No token is in any of them.
 */
import { ServiceError, type ServiceErrorCode } from '../../client/errors.ts'
import type { Session } from '../../client/wire.ts'
import { showDuration } from '../amounts.ts'
import { failure, ok, skipped, textOf, type Verdict, warning } from './finding.ts'

const dayMs = 86_400_000

export interface CertificateFacts {
  readonly isTrusted: boolean
  /** Why it is not. */
  readonly reason: string | undefined
  readonly issuer: string
  readonly validUntilMs: number
  readonly nowMs: number
  /** What is trusted besides Node's own. */
  readonly sources: readonly string[]
}

export function certificateVerdict(facts: CertificateFacts): Verdict {
  const { isTrusted, reason, issuer, validUntilMs, nowMs, sources } = facts
  const trusting = sources.length === 0 ? '' : `; trusted besides Node's own: ${sources.join(', ')}`
  const values = { validUntil: Math.floor(validUntilMs / 1000), issuer }
  if (!isTrusted)
    return failure(
      `the certificate of the endpoint is not trusted (${reason ?? 'unknown'}), its issuer is ${issuer}${trusting}`,
      'install the root of that issuer on this machine (`update-ca-certificates`), or give it with --ca-file or NODE_EXTRA_CA_CERTS',
      values,
    )
  const leftMs = validUntilMs - nowMs
  if (leftMs < 3 * dayMs)
    return warning(
      `good for ${showDuration(Math.max(0, leftMs))} only, of ${issuer}`,
      'whoever runs the endpoint should renew it',
      values,
    )
  return ok(`trusted, of ${issuer}, good for ${showDuration(leftMs)}${trusting}`, values)
}

/** `askedMs` and `answeredMs`: this machine's clock before and after; `serverMs`: the service's, in whole seconds. */
export function clockVerdict(askedMs: number, answeredMs: number, serverMs: number): Verdict {
  if (Number.isNaN(serverMs)) return skipped('the service does not say its time')
  /* the header has whole seconds, cut off */
  const aheadMs = Math.max(0, askedMs - (serverMs + 1000)) + Math.min(0, answeredMs - serverMs)
  const offset = Math.round(aheadMs / 100) / 10
  const values = { offsetSeconds: offset }
  const what = `this machine's clock is ${Math.abs(offset)} s ${offset > 0 ? 'ahead of' : 'behind'} the service's`
  const remedy =
    'set it: `timedatectl set-ntp true`; after a laptop or a virtual machine has slept it may take a while'
  if (Math.abs(aheadMs) > 300_000) return failure(`${what}: tokens are refused for less`, remedy, values)
  if (Math.abs(aheadMs) > 2_000) return warning(what, remedy, values)
  return ok('agrees with the service', values)
}

export interface LoginFacts {
  /** How the token was come by: `MOUNT_SESSION_TOKEN`, or the login of this machine. */
  readonly source: string
  readonly token: string
  readonly expiresMs: number
  readonly nowMs: number
}

const wantedAudiences = ['https://ai.azure.com', 'https://ai.azure.com/']

export function loginVerdict({ source, token, expiresMs, nowMs }: LoginFacts): Verdict {
  const claims = claimsOf(token)
  const until = Number.isFinite(expiresMs)
    ? expiresMs
    : typeof claims['exp'] === 'number'
      ? claims['exp'] * 1000
      : NaN
  const audience = typeof claims['aud'] === 'string' ? claims['aud'] : undefined
  const who = [claims['upn'], claims['unique_name'], claims['appid'], claims['oid']].find(
    (claim) => typeof claim === 'string',
  )
  const values = {
    source,
    ...(Number.isNaN(until) ? {} : { expires: Math.floor(until / 1000) }),
    ...(audience === undefined ? {} : { audience }),
  }
  const again =
    source === 'MOUNT_SESSION_TOKEN'
      ? 'put a new token into MOUNT_SESSION_TOKEN, or unset it and `az login`'
      : '`az login`'
  if (until <= nowMs) return failure(`the token of ${source} has expired`, again, values)
  if (audience !== undefined && !wantedAudiences.includes(audience))
    return failure(
      `the token of ${source} is for ${audience}`,
      '`az account get-access-token --resource https://ai.azure.com`',
      values,
    )
  const left = Number.isNaN(until) ? '' : `, good for ${showDuration(until - nowMs)}`
  const name = who === undefined ? '' : ` for ${who}`
  return ok(`a token by ${source}${name}${left}`, values)
}

/** Of a JSON Web Token, unverified: for display alone. Of what is none: nothing. */
export function claimsOf(token: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

/** Why the service could not be asked. */
export function reachVerdict(error: unknown): Verdict {
  const remedy = 'check --endpoint, the network, and HTTPS_PROXY; `curl -v ENDPOINT` shows what is in the way'
  return failure(textOf(error), remedy)
}

/** What a refusal says of token and role; `undefined`: not refused. */
export function roleVerdict(code: ServiceErrorCode | undefined): Verdict {
  switch (code) {
    case undefined:
      return ok('sessions may be read')
    case 'unauthorized':
      return failure(
        'the service refuses the token (401)',
        '`az login`, or another MOUNT_SESSION_TOKEN; the audience is https://ai.azure.com',
      )
    case 'forbidden':
      return failure(
        'this login may not use the sessions (403)',
        'the role Foundry User on the project (Owner and Contributor have no data permission); or --user-identity, --isolation-key of whom it belongs to',
      )
    default:
      return skipped('not known without an answer about a session')
  }
}

const usable = new Set(['active', 'idle', 'creating', 'updating'])

export function sessionVerdict(name: string, session: Session, nowMs: number): Verdict {
  const { status = 'unknown', expiresSeconds } = session
  const [agent = ''] = name.split('/')
  const values = { status, ...(expiresSeconds === undefined ? {} : { expires: expiresSeconds }) }
  if (!usable.has(status))
    return failure(
      `${name} is ${status}`,
      `\`mount-session session create ${agent}\` makes a new one; what was not uploaded is kept: \`mount-session recover --export DIR ${name}\``,
      values,
    )
  const leftMs = expiresSeconds === undefined ? Infinity : expiresSeconds * 1000 - nowMs
  if (leftMs < dayMs)
    return warning(
      `${name} is ${status}, and expires in ${showDuration(Math.max(0, leftMs))}`,
      'each use makes it last for 30 days more',
      values,
    )
  return ok(`${name} is ${status}${leftMs === Infinity ? '' : `, for ${showDuration(leftMs)} more`}`, values)
}

/** The refusal of a session that was asked for by name. */
export function isolationVerdict(error: unknown, hasKey: boolean): Verdict {
  if (error === undefined) return ok(hasKey ? 'the key is the right one, or not needed' : 'no key is needed')
  if (error instanceof ServiceError && (error.code === 'session_not_found' || error.code === 'not_found'))
    return failure(
      hasKey
        ? 'not found: it is not there, or was made with another key'
        : 'not found: it is not there, or was made with a key',
      hasKey
        ? 'check --isolation-key; it is the one that the session was made with'
        : '--isolation-key, if the agent keeps its users apart',
    )
  return skipped('the session could not be asked for')
}
