/**
 * The log streams that are open now. Layer: emulator.
 *
 * Invariant: a stream leaves the set when its connection ends, whoever ended it.
 */

import type { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import { resetConnection } from './fault-effects.ts'

export class LogStreams {
  readonly #open = new Map<Readable, Pick<FastifyRequest, 'raw'>>()

  add(stream: Readable, request: Pick<FastifyRequest, 'raw'>): void {
    this.#open.set(stream, request)
    stream.once('close', () => this.#open.delete(stream))
  }

  close(reset: boolean): void {
    for (const [stream, request] of this.#open) {
      if (reset) resetConnection(request)
      else stream.push(null)
    }
  }
}
