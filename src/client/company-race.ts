/**
 * A request that may get company, or go out again. Layer: client.
 *
 * A connection may have died without a word: a laptop slept, a router forgot it. A safe request that a
 * connection which was used before does not answer soon is sent on a new one as well:
 *
 *   reused ──silent for `companyMs`──▶ reused and new ──first answer──▶ that one; the other is given up
 *
 * A connection that the other side had closed, which this side learns only by using it, is no failure of the request:
 * it goes out once more, on another one, where that is safe.
 *
 * Invariant: only what changes nothing, or was not looked at, is sent twice; the connection that was silent is not used
 * again. The attempt ends once, with what its winner ended with, or the first of them when both failed.
 */
import type { Clock } from '../clock.ts'
import type { Connection } from './connection.ts'
import { ServiceError } from './errors.ts'
import type { AttemptEnd, Exchange, HttpAttempt, HttpReply } from './exchange.ts'

export interface Opening {
  readonly attempt: HttpAttempt
  /** Not over a connection that was last heard of before this `Clock.now()`. */
  readonly afterMs: number | undefined
  /** It has a connection. */
  readonly onTaken: (connection: Connection) => void
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
  #wentAgain = false
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
    this.#start(this.#attempt, undefined)
    return this.#answer.promise.finally(() => {
      this.#cancel()
      if (this.#hasCompany) this.#options.companies.running -= 1
    })
  }

  /** A request that goes out over a connection that was used before is watched. */
  #taken(exchange: Exchange, connection: Connection): void {
    const { method, timeouts } = this.#attempt
    if (this.#hasCompany || method !== 'GET' || timeouts.companyMs === 0 || !connection.isReused) return
    this.#watch(exchange, this.#options.clock.now())
  }

  #watch(first: Exchange, since: number): void {
    const { clock, companies } = this.#options
    this.#cancel()
    this.#cancel = clock.after(this.#attempt.timeouts.companyMs, () => {
      if (companies.running >= maxCompanies) {
        this.#watch(first, since)
        return
      }
      companies.running += 1
      this.#hasCompany = true
      first.distrust(since)
      const company = this.#start({ ...this.#attempt, onRest: undefined }, since)
      void this.#answer.promise.then(
        () => {
          if (this.#winner === company) this.#options.onSilence(since)
        },
        () => undefined,
      )
    })
  }

  #start(attempt: HttpAttempt, afterMs: number | undefined): Exchange {
    const exchange: Exchange = this.#options.open({
      attempt,
      afterMs,
      onTaken: (connection) => this.#taken(exchange, connection),
      onEnd: (end) => this.#ended(exchange, end),
    })
    this.#running.add(exchange)
    exchange.start().then(
      (reply) => this.#answered(exchange, reply),
      (error: unknown) => this.#failed(exchange, error),
    )
    return exchange
  }

  /** Asked twice of an exchange that failed: at its end, and with its error, which comes after it. */
  #goesAgain(exchange: Exchange): boolean {
    const isAlone = this.#running.size === 0 && !this.#hasCompany
    return !this.#wentAgain && isAlone && this.#winner === undefined && exchange.canGoAgain
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
    if (this.#goesAgain(exchange)) return
    if (this.#winner === undefined) this.#failedEnd ??= end
    if (this.#winner === exchange) this.#attempt.onEnd(end)
    else if (this.#winner === undefined && this.#running.size === 0)
      this.#attempt.onEnd(this.#failedEnd ?? end)
  }

  #failed(exchange: Exchange, error: unknown): void {
    if (this.#goesAgain(exchange)) {
      this.#wentAgain = true
      this.#cancel()
      this.#start(this.#attempt, exchange.isUnprocessed ? undefined : this.#options.clock.now())
      return
    }
    this.#failure ??= error
    if (this.#winner === undefined && this.#running.size === 0) this.#answer.reject(this.#failure)
  }
}
