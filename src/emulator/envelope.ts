/**
 * The service's error envelope and its JSON answers. Layer: emulator.
 *
 * Invariant: every failure the emulator means to give is a `ServiceFailure`, and leaves as the envelope
 * with the request's id both in the message and in `additionalInfo`.
 */

import { gzipSync } from 'node:zlib'
import type { FastifyReply, FastifyRequest } from 'fastify'

export class ServiceFailure extends Error {
  override readonly name = 'ServiceFailure'
  readonly status: number
  readonly code: string | null
  readonly retryAfterSeconds: number | undefined

  constructor(status: number, code: string | null, message: string, retryAfterSeconds?: number) {
    super(message)
    this.status = status
    this.code = code
    this.retryAfterSeconds = retryAfterSeconds
  }
}

export const badRequest = (message: string): ServiceFailure =>
  new ServiceFailure(400, 'invalid_request', message)
export const notFound = (message: string): ServiceFailure => new ServiceFailure(404, 'not_found', message)
export const conflict = (message: string): ServiceFailure => new ServiceFailure(409, 'conflict', message)
export const sessionNotFound = (session: string): ServiceFailure =>
  new ServiceFailure(404, 'session_not_found', `Session '${session}' was not found or was deleted.`)
export const versionNotFound = (agent: string, version: string): ServiceFailure =>
  notFound(`Version '${version}' of agent '${agent}' was not found.`)

/** Below this an answer is not worth compressing; the service's own bound is not known. */
const gzipFromBytes = 128

/** Answers with JSON, compressed when the caller accepts it, as the service does. */
export function sendJson(
  request: FastifyRequest,
  reply: FastifyReply,
  status: number,
  body: unknown,
): FastifyReply {
  const text = JSON.stringify(body)
  reply
    .code(status)
    .header('content-type', 'application/json; charset=utf-8')
    .header('vary', 'Accept-Encoding')
  if (text.length < gzipFromBytes || !request.headers['accept-encoding']?.includes('gzip')) {
    return reply.send(text)
  }
  // Synchronous: listings are small, and a trip through the thread pool costs more than the work.
  return reply.header('content-encoding', 'gzip').send(gzipSync(text, { level: 1 }))
}

export function sendFailure(
  request: FastifyRequest,
  reply: FastifyReply,
  failure: ServiceFailure,
): FastifyReply {
  if (failure.retryAfterSeconds !== undefined) reply.header('retry-after', failure.retryAfterSeconds)
  return sendJson(request, reply, failure.status, {
    error: {
      code: failure.code,
      message: `${failure.message} [Request ID: ${request.id}]`,
      param: null,
      type: failure.status < 500 ? 'invalid_request_error' : 'error',
      details: [],
      additionalInfo: { request_id: request.id },
    },
  })
}
