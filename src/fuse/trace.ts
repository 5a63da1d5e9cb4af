/**
 * Tells of each request of the kernel in the log: operation, node, path where it is known, time, outcome.
 * Layer: fuse.
 *
 * Invariant: made only where somebody asked for level `trace`; names, numbers and the lengths of data are told,
 * never data.
 */

import type { Clock } from '../clock.ts'
import type { FrontEnd } from '../filesystem/front-end.ts'
import type { Logger } from '../log.ts'
import { joinPath } from '../remote-path.ts'
import { errnoName } from './errno.ts'
import { opcodeName } from './operations.ts'
import type { Request } from './request.ts'

export interface TraceParts {
  readonly logger: Logger
  readonly clock: Clock
  readonly frontEnd: FrontEnd
}

interface Begun {
  readonly atMs: number
  /** As it was when the request came: an answered rename has moved it. */
  readonly fields: object
}

export class RequestTrace {
  readonly #parts: TraceParts
  readonly #begun = new Map<Request, Begun>()

  constructor(parts: TraceParts) {
    this.#parts = parts
  }

  arrived(request: Request, input: unknown): void {
    const { clock } = this.#parts
    this.#begun.set(request, { atMs: clock.now(), fields: this.#fields(request, input) })
  }

  /** `errno` 0: it went well. Also of what was answered without a look at what it asks for. */
  answered(request: Request, errno: number): void {
    const { clock, logger } = this.#parts
    const { atMs, fields } = this.#begun.get(request) ?? {
      atMs: clock.now(),
      fields: this.#fields(request, undefined),
    }
    this.#begun.delete(request)
    const durationMs = Math.round((clock.now() - atMs) * 1000) / 1000
    logger.trace({ ...fields, durationMs, ...(errno !== 0 && { errno: errnoName(errno) }) }, message)
  }

  /** Of FORGET and BATCH_FORGET, which have no answer. */
  forgotten(node: number, count: number): void {
    this.#parts.logger.trace({ operation: 'forget', node, path: this.#path(node, undefined), count }, message)
  }

  /** Of an INTERRUPT of the request with this number. */
  interrupted(unique: number): void {
    this.#parts.logger.trace({ operation: 'interrupt', unique }, message)
  }

  #fields(request: Request, input: unknown): object {
    const { request: unique, node, pid, opcode } = request
    const { name, newParent, newName, offset, size, length, data } = wordsOf(input)
    return {
      operation: opcodeName(opcode),
      unique,
      node,
      path: this.#path(node, name),
      ...(newParent !== undefined && { newPath: this.#path(newParent, newName) }),
      ...(offset !== undefined && { offset, length: size ?? length ?? data?.length }),
      pid,
    }
  }

  /** Of a node, or of a name in it. */
  #path(node: number, name: string | undefined): string | undefined {
    const path = this.#parts.frontEnd.pathOf(node)
    return path === undefined || name === undefined ? path : joinPath(path, name)
  }
}

const message = 'a request of the kernel'

/** What a decoded request may have of these. */
interface Words {
  readonly name?: string
  readonly newParent?: number
  readonly newName?: string
  readonly offset?: number
  readonly size?: number
  readonly length?: number
  readonly data?: Uint8Array
}

function wordsOf(input: unknown): Words {
  if (typeof input === 'string') return { name: input }
  return typeof input === 'object' && input !== null ? input : {}
}
