/**
 * Keeps the local log file up to date while somebody wants it. Layer: logs.
 *
 *              somebody opens               answered
 *      idle ────────────────▶ connecting ─────────────▶ open
 *       ▲                       ▲    │                    │
 *       │            delay over │    │ failed             │ ended, reset, 150 s
 *       │      or somebody opens│    ▼ or refused         │ of silence
 *       ├─────────────────── backingOff ◀─────────────────┘
 *       │ five minutes after the last close, from any of them
 *                                             `stop`, from any of them ──▶ stopped
 *
 * Invariant: there is at most one connection, and with the mode `open` none five minutes after the last
 * close: a stream may keep the sandbox awake.
 */
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import { LogConnection, type ConnectionOutcome, type LineStore, type OpenStream } from './log-connection.ts'
import { reconnectDelayMs } from './reconnect-delay.ts'

/** When to be connected: while somebody has the log open and five minutes longer, always, or never. */
export type LogsMode = 'open' | 'always' | 'off'

export interface LogFollowerOptions {
  readonly openStream: OpenStream
  readonly file: LineStore
  readonly clock: Clock
  readonly logger: Logger
  readonly mode: LogsMode
  /** Told how each connection ended; false: there shall be no further one. */
  readonly onEnd?: ((outcome: ConnectionOutcome) => boolean) | undefined
  /** Told when the service has answered. */
  readonly onOpen?: (() => void) | undefined
  /** In [0, 1), for the spread of the reconnects; default `Math.random`. */
  readonly random?: (() => number) | undefined
}

/** For the status of the mount. */
export interface LogsStatus {
  readonly mode: LogsMode
  readonly state: State['kind']
  readonly openHandles: number
  readonly connections: number
  /** Console lines recorded by this process. */
  readonly lines: number
  /** Why the last connection ended. */
  readonly lastEnd: string | undefined
}

type State =
  | { readonly kind: 'idle' }
  | { readonly kind: 'connecting' | 'open'; readonly connection: LogConnection; readonly since: number }
  | { readonly kind: 'backingOff'; readonly connectedAt: number; readonly cancel: () => void }
  | { readonly kind: 'stopped' }

const lingerMs = 300_000
const openWaitMs = 2_000
/* a connection that lasted this long was worth having, even if it brought nothing */
const fruitfulMs = 60_000
/* a service that wants to be left alone for longer is asked again all the same */
const longestRetryAfterMs = 300_000
/* opening the log again and again does not ask a refusing service more often than this */
const impatienceMs = 5_000

export class LogFollower {
  readonly #options: LogFollowerOptions
  readonly #mode: LogsMode
  #state: State = { kind: 'idle' }
  #openHandles = 0
  #cancelLinger = (): void => undefined
  /* resolved when the first opening burst since `idle` is over, or there is none to be had */
  #burst = Promise.withResolvers<undefined>()
  #fruitless = 0
  #connections = 0
  #lines = 0
  #lastEnd: string | undefined
  #running: Promise<void> = Promise.resolve()

  constructor(options: LogFollowerOptions) {
    this.#options = options
    this.#mode = options.mode
    if (this.#mode === 'always') this.#connect()
  }

  get status(): LogsStatus {
    return {
      mode: this.#mode,
      state: this.#state.kind,
      openHandles: this.#openHandles,
      connections: this.#connections,
      lines: this.#lines,
      lastEnd: this.#lastEnd,
    }
  }

  /**
   * Somebody has opened the log. Resolves, never rejects, once the service's opening burst is in the file:
   * at once when it has been, after 2 s in any case, and as soon as the signal is aborted.
   */
  async retain(signal?: AbortSignal): Promise<void> {
    this.#openHandles++
    this.#cancelLinger()
    if (this.#mode === 'off' || this.#state.kind === 'stopped') return
    if (this.#shouldConnectNow()) this.#connect()
    await this.#burstOver(signal)
  }

  /** Takes back one `retain`. */
  release(): void {
    this.#openHandles--
    if (this.#openHandles > 0 || this.#mode !== 'open') return
    this.#cancelLinger()
    this.#cancelLinger = this.#options.clock.after(lingerMs, () => {
      if (this.#state.kind !== 'stopped') this.#disconnect({ kind: 'idle' })
    })
  }

  /** Ends the connection for good; resolves when what it brought is in the file. */
  async stop(): Promise<void> {
    this.#cancelLinger()
    this.#disconnect({ kind: 'stopped' })
    await this.#running
  }

  #shouldConnectNow(): boolean {
    switch (this.#state.kind) {
      case 'idle':
        return true
      case 'backingOff':
        return this.#options.clock.now() - this.#state.connectedAt >= impatienceMs
      case 'connecting':
      case 'open':
      case 'stopped':
        return false
    }
  }

  async #burstOver(signal?: AbortSignal): Promise<void> {
    const limit = Promise.withResolvers<undefined>()
    const end = (): void => limit.resolve(undefined)
    const cancel = this.#options.clock.after(openWaitMs, end)
    signal?.addEventListener('abort', end, { once: true })
    if (signal?.aborted) end()
    await Promise.race([this.#burst.promise, limit.promise])
    cancel()
    signal?.removeEventListener('abort', end)
  }

  #connect(): void {
    if (this.#state.kind === 'backingOff') this.#state.cancel()
    const since = this.#options.clock.now()
    const connection: LogConnection = new LogConnection({
      openStream: this.#options.openStream,
      clock: this.#options.clock,
      file: this.#options.file,
      onOpen: () => {
        if (this.#isCurrent(connection)) this.#state = { kind: 'open', connection, since }
        this.#options.logger.info({}, 'console log: connected')
        this.#options.onOpen?.()
      },
      onQuiet: () => this.#burst.resolve(undefined),
      onOversized: () => this.#options.logger.warn({}, 'console log: an event too large to keep was skipped'),
    })
    this.#connections++
    this.#state = { kind: 'connecting', connection, since }
    /* the next one reads the file that the one before may still be closing */
    this.#running = this.#running.then(() => this.#run(connection, since))
  }

  async #run(connection: LogConnection, since: number): Promise<void> {
    const outcome = await connection.run()
    this.#lines += outcome.newLines
    if (!this.#isCurrent(connection)) return
    const goesOn = this.#options.onEnd?.(outcome) ?? true
    if (goesOn) this.#backOff(outcome, since)
    else this.#disconnect({ kind: 'stopped' })
  }

  #backOff(outcome: ConnectionOutcome, since: number): void {
    const { clock, random = Math.random } = this.#options
    const lastedMs = clock.now() - since
    this.#fruitless = outcome.newLines > 0 || lastedMs >= fruitfulMs ? 0 : this.#fruitless + 1
    const ownDelayMs = reconnectDelayMs(outcome.end, Math.max(0, this.#fruitless - 1), random())
    const delayMs = Math.max(ownDelayMs, Math.min(outcome.retryAfterMs ?? 0, longestRetryAfterMs))
    this.#report(outcome, delayMs)
    this.#state = {
      kind: 'backingOff',
      connectedAt: since,
      cancel: clock.after(delayMs, () => this.#connect()),
    }
    this.#burst.resolve(undefined)
  }

  /** The same reason again is not news. */
  #report({ end, reason, cause }: ConnectionOutcome, delayMs: number): void {
    const { logger } = this.#options
    const fields = { reason, retryInMs: Math.round(delayMs), err: cause }
    const isNews = reason !== this.#lastEnd
    this.#lastEnd = reason
    if (end === 'ended' || !isNews) logger.debug(fields, 'console log: disconnected')
    else logger.warn(fields, `console log: not connected: ${reason}; trying again`)
  }

  #disconnect(next: State & { readonly kind: 'idle' | 'stopped' }): void {
    const state = this.#state
    this.#state = next
    if (state.kind === 'backingOff') state.cancel()
    if (state.kind === 'connecting' || state.kind === 'open') state.connection.close()
    this.#burst.resolve(undefined)
    this.#burst = Promise.withResolvers()
    this.#fruitless = 0
  }

  #isCurrent(connection: LogConnection): boolean {
    const state = this.#state
    return (state.kind === 'connecting' || state.kind === 'open') && state.connection === connection
  }
}
