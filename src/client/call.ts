/**
 * What one call of the service is made of, and what is told of it. Layer: client.
 *
 * Invariant: only data and the one function that reads the answer; whoever carries it out is `request.ts`.
 */
import type { QueryParameters } from './endpoint.ts'
import type { ServiceErrorCode } from './errors.ts'
import type { HttpAttempt, HttpReply } from './exchange.ts'
import type { Lane } from './lane.ts'
import type { Timeouts } from './progress-watch.ts'
import type { Subject } from './refusal.ts'
import type { Transport } from './transport.ts'
import type { RequestBody } from './upload-body.ts'

/** The operations of the service, as calls are counted by them. */
export type Verb =
  | 'createSession'
  | 'getSession'
  | 'listSessions'
  | 'stopSession'
  | 'deleteSession'
  | 'patchAgent'
  | 'list'
  | 'download'
  | 'upload'
  | 'delete'
  | 'mkdir'
  | 'logStream'

/** One attempt that is over. */
export interface FinishedCall {
  readonly verb: Verb
  /** Undefined when there was no answer. */
  readonly status: number | undefined
  readonly durationMs: number
  readonly bytesIn: number
  readonly bytesOut: number
  /** Why there was no answer, or not all of one; `status` says what a whole one meant. */
  readonly code: ServiceErrorCode | undefined
}

export interface ServiceCall<T> {
  readonly verb: Verb
  /** Operation and path, for messages. */
  readonly what: string
  readonly method: HttpAttempt['method']
  readonly path: string
  readonly query: QueryParameters
  readonly headers: Readonly<Record<string, string>>
  readonly subject: Subject
  readonly body?: RequestBody | undefined
  /** See `HttpAttempt`. */
  readonly contentBytes?: number | undefined
  /** false: doing it twice is not doing it once; an ambiguous failure is not repeated. Default true. */
  readonly idempotent?: boolean | undefined
  /** Undefined: outside the lanes. */
  readonly lane: Lane | undefined
  readonly transport: Transport
  readonly timeouts: Timeouts
  /** What the caller gets of a 2xx; it reads the body to its end, hands it on, or fails the attempt. */
  readonly receive: (reply: HttpReply) => Promise<T>
}

/** The fields of a call that differ from operation to operation. */
export type ServiceOperation<T> = Pick<
  ServiceCall<T>,
  'verb' | 'what' | 'method' | 'path' | 'subject' | 'receive'
> &
  Partial<Pick<ServiceCall<T>, 'query' | 'body' | 'idempotent' | 'contentBytes'>> & {
    readonly accept?: string
  }
