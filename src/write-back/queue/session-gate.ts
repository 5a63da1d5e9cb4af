/**
 * Whether the session takes calls at all. Layer: write-back.
 *
 *     open ──401, 403, 404 of the session, 424──▶ paused ──backoff or a barrier──▶ probing ──anything else──▶ open
 *                                                   ▲                                 │
 *                                                   └───────────────same──────────────┘
 *
 * Invariant: while it is not open, one call at a time is under way, and that call is the probe: it heals by
 * itself after a login, or when the sandbox has woken.
 */
import type { Clock } from '../../clock.ts'
import type { Logger } from '../../log.ts'
import type { ServiceError } from '../../client/errors.ts'
import { backoffMs } from './backoff.ts'

type State =
  | { readonly is: 'open' }
  | {
      readonly is: 'paused'
      readonly failures: number
      readonly error: ServiceError
      readonly cancel: () => void
    }
  | { readonly is: 'probing'; readonly failures: number; readonly error: ServiceError }

export interface SessionGateOptions {
  readonly clock: Clock
  readonly logger: Logger
  readonly random: () => number
  /** No call may start / one may / all may. */
  readonly onChange: (state: 'paused' | 'probing' | 'open') => void
}

export class SessionGate {
  readonly #options: SessionGateOptions
  #state: State = { is: 'open' }
  #refusals = 0
  #since = 0
  #wasGone = false

  constructor(options: SessionGateOptions) {
    this.#options = options
  }

  /** Why the session takes no calls; undefined while it does. */
  get error(): ServiceError | undefined {
    return this.#state.is === 'open' ? undefined : this.#state.error
  }

  /** Whether there was no such session since a call last went well. */
  get wasGone(): boolean {
    return this.#wasGone
  }

  /** When it was paused, Unix milliseconds. */
  get since(): number {
    return this.#since
  }

  /** How often the session has refused a call, over all time. */
  get refusals(): number {
    return this.#refusals
  }

  /** How many probes in a row have failed. */
  get failures(): number {
    return this.#state.is === 'open' ? 0 : this.#state.failures
  }

  /** A call ended with an error that is a state of the session. */
  refused(error: ServiceError): void {
    const { clock, logger, random, onChange } = this.#options
    this.#refusals++
    if (error.code === 'session_not_found') this.#wasGone = true
    if (this.#state.is === 'paused') return
    const failures = this.failures + 1
    if (failures === 1) {
      this.#since = clock.wallMs()
      logger.warn({ code: error.code, status: error.status }, `uploads pause: ${error.message}`)
    }
    const cancel = clock.after(backoffMs(failures, error.retryAfterMs, random()), () => this.probe())
    this.#state = { is: 'paused', failures, error, cancel }
    onChange('paused')
  }

  /** A call ended in any other way: the session answers. */
  answered(): void {
    if (this.#state.is === 'open') return
    if (this.#state.is === 'paused') this.#state.cancel()
    this.#wasGone = false
    this.#state = { is: 'open' }
    this.#options.logger.info({}, 'uploads go on: the session answers again')
    this.#options.onChange('open')
  }

  /** Lets one call try now. */
  probe(): void {
    if (this.#state.is !== 'paused') return
    this.#state.cancel()
    this.#state = { is: 'probing', failures: this.#state.failures, error: this.#state.error }
    this.#options.onChange('probing')
  }

  close(): void {
    if (this.#state.is === 'paused') this.#state.cancel()
  }
}
