/**
 * What every request of the service passes before its handler: it is counted, delayed, met by its fault,
 * and let in by token, version and rate. Layer: emulator.
 *
 * Invariant: with no latency and no fault the way in is synchronous: the emulator shares its processor with
 * the program that it tests.
 */

import type { FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify'
import { type Clock, sleep } from '../clock.ts'
import { badRequest, ServiceFailure } from './envelope.ts'
import type { FaultEffects } from './fault-effects.ts'
import type { Faults, LiveFault } from './faults.ts'
import { normalizePath } from './session-path.ts'
import type { Call, Traffic, CountedVerb } from './traffic.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The fault that this request met. */
    fault: LiveFault | undefined
    call: Call | undefined
  }
}

export interface GateSettings {
  readonly clock: Clock
  readonly traffic: Traffic
  readonly faults: Faults
  readonly effects: FaultEffects
  readonly latencyMs: number
  readonly requestsPerSecond: number
  /** Whether a bearer token is good now. */
  readonly accepts: (token: string) => boolean
}

export class Gate {
  readonly #settings: GateSettings
  #allowance: number
  #allowanceAt: number

  constructor(settings: GateSettings) {
    this.#settings = settings
    this.#allowance = settings.requestsPerSecond
    this.#allowanceAt = settings.clock.now()
  }

  /** The `onRequest` hook for the routes of a verb. */
  entry(verb: CountedVerb): onRequestHookHandler {
    const { traffic, faults, latencyMs } = this.#settings
    return (request, _reply, done) => {
      const path = pathOf(request)
      request.call = traffic.arrived(verb, path)
      request.fault = faults.take(verb, path)
      if (request.fault !== undefined || latencyMs > 0) {
        this.#slowly(request).then(() => done(), done)
        return
      }
      done(this.#refusal(request))
    }
  }

  /** The `onRequest` hook for what is no operation: token and version are asked for, nothing is counted. */
  stranger(): onRequestHookHandler {
    return (request, _reply, done) => done(this.#refusal(request))
  }

  /** Notes that an answer begins. */
  answers(request: FastifyRequest, reply: FastifyReply): void {
    if (request.call !== undefined) this.#settings.traffic.answered(request.call, reply.statusCode)
  }

  async #slowly(request: FastifyRequest): Promise<void> {
    const { clock, effects, latencyMs } = this.#settings
    if (latencyMs > 0) await sleep(clock, latencyMs)
    if (request.fault !== undefined) await effects.onArrival(request, request.fault)
    const refusal = this.#refusal(request)
    if (refusal !== undefined) throw refusal
  }

  #refusal(request: FastifyRequest): ServiceFailure | undefined {
    const unauthorized = this.#unauthorized(request)
    if (unauthorized !== undefined) return unauthorized
    if (!(request.query as Record<string, unknown>)['api-version']) {
      return badRequest("The query parameter 'api-version' is required.")
    }
    return this.#isThrottled()
      ? new ServiceFailure(429, 'rate_limit_exceeded', 'Too many requests. Try again in 1 second.', 1)
      : undefined
  }

  #unauthorized(request: FastifyRequest): ServiceFailure | undefined {
    const [scheme, token] = (request.headers.authorization ?? '').split(' ')
    if (scheme?.toLowerCase() === 'bearer' && token !== undefined && this.#settings.accepts(token)) {
      return undefined
    }
    return new ServiceFailure(401, 'unauthorized', 'The bearer token is missing, expired or not accepted.')
  }

  /** A bucket of one second's requests. */
  #isThrottled(): boolean {
    const { clock, requestsPerSecond } = this.#settings
    if (requestsPerSecond === Infinity) return false
    const now = clock.now()
    const earned = ((now - this.#allowanceAt) / 1000) * requestsPerSecond
    this.#allowance = Math.min(requestsPerSecond, this.#allowance + earned)
    this.#allowanceAt = now
    if (this.#allowance < 1) return true
    this.#allowance--
    return false
  }
}

/** For counting only: a path that is against the rules is kept as it came, and refused later. */
function pathOf(request: FastifyRequest): string {
  const { path } = request.query as Record<string, unknown>
  if (typeof path !== 'string') return ''
  try {
    return normalizePath(path)
  } catch {
    return path
  }
}
