/**
 * A log stream whose every connection a test answers by hand. Layer: tests.
 *
 * Invariant: nothing happens on a connection that the test did not cause, except its end by the signal.
 */
import type { OpenStream } from '../../src/logs/log-connection.ts'

type Chunk = { readonly bytes: Uint8Array } | { readonly end: true } | { readonly error: Error }

export class ScriptedConnection {
  readonly signal: AbortSignal
  readonly #answer = Promise.withResolvers<Awaited<ReturnType<OpenStream>>>()
  readonly #chunks: Chunk[] = []
  #wake = Promise.withResolvers<undefined>()

  constructor(signal: AbortSignal) {
    this.signal = signal
    const onAbort = (): void => {
      this.#answer.reject(signal.reason as Error)
      this.#push({ error: signal.reason as Error })
    }
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort)
  }

  get answered(): ReturnType<OpenStream> {
    return this.#answer.promise
  }

  get unread(): number {
    return this.#chunks.length
  }

  answer(status = 200): void {
    this.#answer.resolve({ status, body: this.#body() })
  }

  refuse(error: Error): void {
    this.#answer.reject(error)
  }

  /** One log event for each line, all in one chunk. */
  send(...lines: readonly string[]): void {
    this.#push({ bytes: Buffer.from(lines.map((line) => `event: log\ndata: ${line}\n\n`).join('')) })
  }

  sendBytes(bytes: Uint8Array): void {
    this.#push({ bytes })
  }

  comment(): void {
    this.#push({ bytes: Buffer.from(': still here\n\n') })
  }

  end(): void {
    this.#push({ end: true })
  }

  reset(): void {
    this.#push({ error: Object.assign(new Error('reset by peer'), { code: 'ECONNRESET' }) })
  }

  #push(chunk: Chunk): void {
    this.#chunks.push(chunk)
    this.#wake.resolve(undefined)
  }

  async *#body(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = this.#chunks.shift()
      if (chunk === undefined) {
        this.#wake = Promise.withResolvers()
        await this.#wake.promise
      } else if ('bytes' in chunk) {
        yield chunk.bytes
      } else if ('error' in chunk) {
        throw chunk.error
      } else {
        return
      }
    }
  }
}

export class ScriptedStream {
  readonly connections: ScriptedConnection[] = []

  readonly open: OpenStream = (signal) => {
    const connection = new ScriptedConnection(signal)
    this.connections.push(connection)
    return connection.answered
  }

  get last(): ScriptedConnection {
    return this.connections.at(-1)!
  }

  /** Chunks of the last connection that nobody has asked for yet. */
  get unread(): number {
    return this.last.unread
  }
}

/** Lets everything that is ready run: promises, however deep, and what they start. */
export async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}
