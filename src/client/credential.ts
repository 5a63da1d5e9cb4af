/**
 * The bearer token: from a fixed string, a credential of `@azure/identity`, or a function. Layer: client.
 *
 * Invariant: one refresh is under way at a time, whoever asks; a token that is about to expire is renewed
 * in the background while it is still used; no token is ever part of a message.
 */
import type { Clock } from '../clock.ts'
import type { EndSignal } from './ending.ts'
import { ServiceError } from './errors.ts'

export const tokenScope = 'https://ai.azure.com/.default'

export interface AccessToken {
  readonly token: string
  /** Unix milliseconds. */
  readonly expiresOnTimestamp: number
}

/** What every credential of `@azure/identity` is. */
export interface TokenCredential {
  getToken(scope: string, options?: { abortSignal?: AbortSignal }): Promise<AccessToken | null>
}

/** A fixed token, a credential, or a function that is asked again once its token was refused or has expired. */
export type Credential =
  { readonly token: string } | TokenCredential | (() => string | AccessToken | Promise<string | AccessToken>)

const refreshAheadMs = 5 * 60_000
/** After a failed renewal of a token that is still good, the next one is tried so much later. */
const renewPauseMs = 30_000
const askTimeoutMs = 60_000

export class TokenSource {
  readonly #ask: (signal: AbortSignal) => Promise<AccessToken>
  readonly #clock: Clock
  #current: AccessToken | undefined
  #refreshing: Promise<AccessToken> | undefined
  #renewNotBefore = -Infinity

  /** Without a credential: `DefaultAzureCredential`, loaded when the first token is needed. */
  constructor(credential: Credential | undefined, clock: Clock) {
    this.#ask = asker(credential)
    this.#clock = clock
  }

  /**
   * A token that is not `rejected`, if there is one to be had: after a 401 the caller names the token that
   * was refused, and a cached one that is another is given without asking. Fails with `credential`, or
   * with the signal's reason.
   */
  async get(
    options: { signal?: EndSignal | undefined; rejected?: string | undefined } = {},
  ): Promise<string> {
    const current = this.#current
    const remaining = (current?.expiresOnTimestamp ?? 0) - this.#clock.wallMs()
    if (current !== undefined && current.token !== options.rejected && remaining > 0) {
      if (remaining < refreshAheadMs) this.#renew()
      return current.token
    }
    return (await untilAborted(this.#refresh(), options.signal)).token
  }

  #renew(): void {
    if (this.#clock.now() < this.#renewNotBefore) return
    this.#refresh().catch(() => {
      this.#renewNotBefore = this.#clock.now() + renewPauseMs
    })
  }

  #refresh(): Promise<AccessToken> {
    this.#refreshing ??= this.#askInTime().finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  async #askInTime(): Promise<AccessToken> {
    const timeout = new AbortController()
    const giveUp = (): void => timeout.abort(new Error(`no token within ${askTimeoutMs / 1000} s`))
    const cancel = this.#clock.after(askTimeoutMs, giveUp, { isAwaited: true })
    try {
      this.#current = await untilAborted(this.#ask(timeout.signal), timeout.signal)
      return this.#current
    } catch (cause) {
      throw new ServiceError('credential', `no token could be had for ${tokenScope}; log in and try again`, {
        cause,
      })
    } finally {
      cancel()
    }
  }
}

function asker(credential: Credential | undefined): (signal: AbortSignal) => Promise<AccessToken> {
  if (credential === undefined) {
    let loaded: Promise<TokenCredential> | undefined
    return async (signal) => askCredential(await (loaded ??= loadDefault()), signal)
  }
  if (typeof credential === 'function') return async () => withExpiry(await credential())
  if ('getToken' in credential) return (signal) => askCredential(credential, signal)
  return () => Promise.resolve(withExpiry(credential.token))
}

/** What is taken where no credential is given. */
export async function loadDefault(): Promise<TokenCredential> {
  const { DefaultAzureCredential } = await import('@azure/identity')
  return new DefaultAzureCredential()
}

async function askCredential(credential: TokenCredential, signal: AbortSignal): Promise<AccessToken> {
  const answer = await credential.getToken(tokenScope, { abortSignal: signal })
  if (answer === null) throw new Error('the credential has no token')
  return answer
}

/** Of a bare string nobody knows when it expires: it is good until it is refused. */
function withExpiry(answer: string | AccessToken): AccessToken {
  return typeof answer === 'string' ? { token: answer, expiresOnTimestamp: Infinity } : answer
}

/** The shared work goes on for the others when one caller gives up. */
async function untilAborted<T>(work: Promise<T>, signal: EndSignal | undefined): Promise<T> {
  if (signal === undefined) return await work
  signal.throwIfAborted()
  return await new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error)
    signal.addEventListener('abort', onAbort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
