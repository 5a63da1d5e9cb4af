/**
 * A request that may get company. Layer: client.
 *
 * A connection may have died without a word: a laptop slept, a router forgot it. A safe request that a
 * connection which was used before does not answer soon is sent on a new one as well:
 *
 *   reused ──silent for `companyMs`──▶ reused and new ──first answer──▶ that one; the other is given up
 *
 * Invariant: only what changes nothing is sent twice; the connection that was silent is not used again. The
 * attempt ends once, with what its winner ended with, or the first of them when both failed.
 */
import type { Clock } from '../clock.ts'
import { ServiceError } from './errors.ts'
import type { AttemptEnd, Exchange, HttpAttempt, HttpReply } from './exchange.ts'

export interface Opening {
  readonly attempt: HttpAttempt
  readonly isNew: boolean
  readonly onEnd: (end: AttemptEnd) => void
}

export interface CompanyRaceOptions {
  readonly clock: Clock
  readonly open: (opening: Opening) => Exchange
  /** How many requests have company; shared by all races. */
  readonly companies: { running: number }
  /** The new connection answered, the one that was silent since then, by the clock, did not. */
  readonly onSilence: (sinceMs: number) => void
}

/** A service that is merely slow is not asked everything twice. */
const maxCompanies = 4

export class CompanyRace {
  readonly #attempt: HttpAttempt
  readonly #options: CompanyRaceOptions
  readonly #running = new Set<Exchange>()
  readonly #answer = Promise.withResolvers<HttpReply>()
  #hasCompany = false
  #winner: Exchange | undefined
  #failedEnd: AttemptEnd | undefined
  #failure: unknown
  #cancel = (): void => undefined

  constructor(attempt: HttpAttempt, options: CompanyRaceOptions) {
    this.#attempt = attempt
    this.#options = options
  }

  /** Once. Rejects with `ServiceError`. */
  run(): Promise<HttpReply> {
    const { method, timeouts } = this.#attempt
    const first = this.#start(this.#attempt, false)
    if (method === 'GET' && timeouts.companyMs > 0 && first.connection.isReused) this.#watch(first)
    return this.#answer.promise.finally(() => {
      this.#cancel()
      if (this.#hasCompany) this.#options.companies.running -= 1
    })
  }

  #watch(first: Exchange): void {
    const { clock, companies } = this.#options
    const since = clock.now()
    this.#cancel = clock.after(this.#attempt.timeouts.companyMs, () => {
      if (companies.running >= maxCompanies) {
        this.#watch(first)
        return
      }
      companies.running += 1
      this.#hasCompany = true
      first.connection.distrust()
      const company = this.#start({ ...this.#attempt, onRest: undefined }, true)
      void this.#answer.promise.then(
        () => {
          if (this.#winner === company) this.#options.onSilence(since)
        },
        () => undefined,
      )
    })
  }

  #start(attempt: HttpAttempt, isNew: boolean): Exchange {
    const exchange: Exchange = this.#options.open({
      attempt,
      isNew,
      onEnd: (end) => this.#ended(exchange, end),
    })
    this.#running.add(exchange)
    exchange.start().then(
      (reply) => this.#answered(exchange, reply),
      (error: unknown) => this.#failed(error),
    )
    return exchange
  }

  #answered(exchange: Exchange, reply: HttpReply): void {
    if (this.#winner !== undefined) {
      void reply.body.return()
      return
    }
    this.#winner = exchange
    for (const other of this.#running)
      if (other !== exchange)
        other.end(new ServiceError('aborted', `${this.#attempt.what}: answered on another connection`))
    this.#answer.resolve(reply)
  }

  /** Of one that failed it comes before its error does. */
  #ended(exchange: Exchange, end: AttemptEnd): void {
    this.#running.delete(exchange)
    if (this.#winner === undefined) this.#failedEnd ??= end
    if (this.#winner === exchange) this.#attempt.onEnd(end)
    else if (this.#winner === undefined && this.#running.size === 0)
      this.#attempt.onEnd(this.#failedEnd ?? end)
  }

  #failed(error: unknown): void {
    this.#failure ??= error
    if (this.#winner === undefined && this.#running.size === 0) this.#answer.reject(this.#failure)
  }
}
