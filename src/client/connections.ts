/**
 * The connections to the service, and which of them a request goes over. Layer: client.
 *
 *   short, over TLS, and the other side speaks HTTP/2 ──▶ one that many share
 *   all else                                          ──▶ one of its own (HTTP/1.1)
 *
 * What is long has a connection of its own so that it can be ended by itself, at once, and holds up nothing. Of the
 * shared ones the first is for questions; contents go over the others, as soon as one of these is there.
 *
 * Invariant: a connection of its own is under one request, idle, or gone; one that has kept a request waiting in vain
 * is not used again.
 */
import type { Connection } from './connection.ts'
import { Dialer, type Dialed, type DialerOptions, type Protocol } from './dial.ts'
import { clientsOf, Http1Connection, type MakeClient } from './http1-connection.ts'
import { Http2Connection, usualBounds } from './http2-connection.ts'

/** What a request is, as far as it decides the connection. */
export interface RequestKind {
  /** Bytes of content that it or its answer brings, as far as is known: `Infinity` where it is not. */
  readonly contentBytes: number
  /** Bytes of its body. */
  readonly bodyBytes: number
}

/** More is not short: it would hold up what shares its connection, on a slow link. */
export const shortBytes = { up: 64 * 1024, down: 256 * 1024 }

/** Shared connections for contents, beside the one for questions: a lost packet holds up all of one. */
const maxForContents = 3
/** Another one is opened when each has so many requests. */
const enoughOnEach = 24

/** Some gateways agree to HTTP/2 and cannot speak it; one that was cut off so early may have had bad luck. */
const enoughBroken = 2

export class Connections {
  readonly #dialer: Dialer
  readonly #options: DialerOptions
  #makeClient: Promise<MakeClient> | undefined
  /** The one that was used last comes first. */
  #idle: Http1Connection[] = []
  readonly #own = new Set<Http1Connection>()
  #shared: Http2Connection[] = []
  #bounds = usualBounds
  /** How the other side speaks; undefined until it was asked. */
  #protocol: Promise<Protocol> | undefined
  /** Made to find out how the other side speaks. */
  #spare: Dialed | undefined
  /** Shared connections, one after the other, on which the other side agreed to HTTP/2 and then did not speak it. */
  #broken = 0
  #opening: Promise<Http2Connection | undefined> | undefined
  #isDestroyed = false

  constructor(options: DialerOptions) {
    this.#options = options
    this.#dialer = new Dialer(options)
  }

  /**
   * One for a single request, to be released after it. `afterMs`: none that was last heard of before this
   * `Clock.now()`.
   */
  take(
    kind: RequestKind,
    { afterMs }: { readonly afterMs?: number | undefined } = {},
  ): Connection | Promise<Connection> {
    if (!this.#isShort(kind) || this.#shared.length === 0) return this.#takeLater(kind, afterMs)
    const { connection, isEnough } = this.#choose(kind, afterMs)
    if (connection === undefined || (!isEnough && this.#canOpen)) return this.#takeLater(kind, afterMs)
    return connection.take(kind.bodyBytes)
  }

  async #takeLater(kind: RequestKind, afterMs: number | undefined): Promise<Connection> {
    if (this.#isShort(kind) && (await this.#speaks()) === 'h2') {
      const shared = await this.#takeShared(kind, afterMs)
      if (shared !== undefined) return shared
    }
    const idle = afterMs === undefined ? this.#takeIdle() : undefined
    return idle ?? (await this.#openOwn())
  }

  /** What was last heard of before `sinceMs` may be as dead as the one that kept a request waiting since then. */
  dropSilent(sinceMs: number): void {
    const isOld = ({ heardAt }: Http1Connection | Http2Connection): boolean =>
      heardAt === undefined || heardAt < sinceMs
    for (const connection of this.#idle.filter(isOld)) this.#drop(connection)
    this.#idle = this.#idle.filter((connection) => !isOld(connection))
    // one that has never answered is new, or has company itself
    for (const connection of this.#shared)
      if (connection.heardAt !== undefined && isOld(connection)) connection.abandon()
  }

  /** Ends all requests and closes all connections. */
  async destroy(): Promise<void> {
    this.#isDestroyed = true
    this.#spare?.below.destroy()
    for (const connection of this.#shared) connection.destroy()
    await Promise.all([...this.#own].map((connection) => connection.destroy()))
  }

  #isShort({ contentBytes, bodyBytes }: RequestKind): boolean {
    return this.#dialer.isSecure && bodyBytes <= shortBytes.up && contentBytes <= shortBytes.down
  }

  /** Asks by opening a connection, which is used for what comes first. */
  #speaks(): Promise<Protocol> {
    this.#protocol ??= this.#dialer.dial(['h2', 'http/1.1']).then(
      (dialed) => {
        if (this.#isDestroyed) dialed.below.destroy()
        else if (dialed.protocol === 'h2') this.#share(dialed)
        else this.#spare = dialed
        return dialed.protocol
      },
      (error: unknown) => {
        this.#protocol = undefined
        throw error
      },
    )
    return this.#protocol
  }

  /** Undefined: none has room, or the other side has ceased to speak it. */
  async #takeShared(kind: RequestKind, afterMs: number | undefined): Promise<Connection | undefined> {
    for (;;) {
      const { connection, isEnough } = this.#choose(kind, afterMs)
      const opening = !isEnough && this.#canOpen ? this.#openShared() : undefined
      if (connection !== undefined) return connection.take(kind.bodyBytes)
      if ((await opening) === undefined) return undefined
    }
  }

  get #canOpen(): boolean {
    return this.#shared.filter((each) => !each.isGone).length <= maxForContents
  }

  /** Which of those that have room for it, and whether more of them would be of no use. */
  #choose(
    { contentBytes, bodyBytes }: RequestKind,
    afterMs = -Infinity,
  ): { readonly connection: Http2Connection | undefined; readonly isEnough: boolean } {
    let forQuestions: Http2Connection | undefined
    let least: Http2Connection | undefined
    for (const each of this.#shared) {
      if ((each.heardAt ?? Infinity) < afterMs || !each.hasRoomFor(bodyBytes)) continue
      if (forQuestions === undefined) forQuestions = each
      else if (least === undefined || each.active < least.active) least = each
    }
    if (contentBytes === 0) return { connection: forQuestions, isEnough: forQuestions !== undefined }
    return { connection: least ?? forQuestions, isEnough: least !== undefined && least.active < enoughOnEach }
  }

  #openShared(): Promise<Http2Connection | undefined> {
    this.#opening ??= this.#dialer
      .dial(['h2', 'http/1.1'])
      .then((dialed) => {
        if (dialed.protocol === 'h2') return this.#share(dialed)
        dialed.below.destroy()
        this.#protocol = undefined
        return undefined
      })
      .finally(() => (this.#opening = undefined))
    // who opened it ahead does not wait for it
    this.#opening.catch(() => undefined)
    return this.#opening
  }

  #share(dialed: Dialed): Http2Connection {
    const { origin, clock } = this.#options
    const connection: Http2Connection = new Http2Connection(dialed, {
      origin,
      clock,
      bounds: this.#bounds,
      onBounds: (bounds) => (this.#bounds = bounds),
      onClosed: (hasSpoken) => {
        this.#shared = this.#shared.filter((each) => each !== connection)
        this.#broken = hasSpoken ? 0 : this.#broken + 1
        if (this.#broken >= enoughBroken) this.#protocol = Promise.resolve('http/1.1')
      },
    })
    this.#shared.push(connection)
    if (this.#isDestroyed) connection.destroy()
    return connection
  }

  async #openOwn(): Promise<Http1Connection> {
    const makeClient = await (this.#makeClient ??= clientsOf(this.#options.origin))
    const connection = new Http1Connection(makeClient, {
      dial: () => this.#dialOwn(),
      clock: this.#options.clock,
      onRelease: () => {
        if (connection.isSilent || this.#isDestroyed) this.#drop(connection)
        else this.#idle.push(connection)
      },
    })
    this.#own.add(connection)
    return connection
  }

  async #dialOwn(): Promise<Dialed> {
    const spare = this.#spare
    this.#spare = undefined
    return spare?.socket.destroyed === false ? spare : await this.#dialer.dial(['http/1.1'])
  }

  /** Rather one that is open than one that has to be opened again. */
  #takeIdle(): Http1Connection | undefined {
    const open = this.#idle.findLastIndex((connection) => connection.isReused)
    return open === -1 ? this.#idle.pop() : this.#idle.splice(open, 1)[0]
  }

  #drop(connection: Http1Connection): void {
    this.#own.delete(connection)
    void connection.destroy()
  }
}
