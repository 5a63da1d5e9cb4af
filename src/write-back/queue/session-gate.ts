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

type GateState =
  | { readonly is: 'open' }
  | {
      readonly is: 'paused'
      readonly failures: number
      readonly error: ServiceError
      readonly cancel: () => void
    }
  | { readonly is: 'probing'; readonly failures: number; readonly error: ServiceError }

export class SessionGate {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #random: () => number
  readonly #onChange: (state: 'paused' | 'probing' | 'open') => void
  #state: GateState = { is: 'open' }
  #refusals = 0
  #since = 0
  #wasGone = false

  /** `random`: in [0, 1). `onChange`: no call may start, one may, all may. */
  constructor(
    clock: Clock,
    logger: Logger,
    random: () => number,
    onChange: (state: 'paused' | 'probing' | 'open') => void,
  ) {
    this.#clock = clock
    this.#logger = logger
    this.#random = random
    this.#onChange = onChange
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
    this.#refusals++
    if (error.code === 'session_not_found') this.#wasGone = true
    if (this.#state.is === 'paused') return
    const failures = this.failures + 1
    if (failures === 1) {
      this.#since = this.#clock.wallMs()
      this.#logger.warn({ code: error.code, status: error.status }, `uploads pause: ${error.message}`)
    }
    const cancel = this.#clock.after(backoffMs(failures, error.retryAfterMs, this.#random()), () =>
      this.probe(),
    )
    this.#state = { is: 'paused', failures, error, cancel }
    this.#onChange('paused')
  }

  /** A call ended in any other way: the session answers. */
  answered(): void {
    if (this.#state.is === 'open') return
    if (this.#state.is === 'paused') this.#state.cancel()
    this.#wasGone = false
    this.#state = { is: 'open' }
    this.#logger.info({}, 'uploads go on: the session answers again')
    this.#onChange('open')
  }

  /** Lets one call try now. */
  probe(): void {
    if (this.#state.is !== 'paused') return
    this.#state.cancel()
    this.#state = { is: 'probing', failures: this.#state.failures, error: this.#state.error }
    this.#onChange('probing')
  }

  close(): void {
    if (this.#state.is === 'paused') this.#state.cancel()
  }
}
