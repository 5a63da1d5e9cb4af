/**
 * The HTTP server: fastify with the service's routes, envelope and headers. Layer: emulator.
 *
 * Invariant: whatever happens to a request, its answer is in the service's form, or its connection was cut
 * on purpose.
 */

import { randomBytes } from 'node:crypto'
import fastify, { type FastifyError, type FastifyInstance } from 'fastify'
import type { Logger } from '../log.ts'
import type { Certificate } from './certificate.ts'
import type { Emulator } from './control.ts'
import { badRequest, notFound, sendFailure, ServiceFailure } from './envelope.ts'
import { ConnectionCut } from './fault-effects.ts'
import type { Faults } from './faults.ts'
import { createListener, type RequestHandler } from './listener.ts'
import type { LogStreams } from './log-streams.ts'
import { adminRoutes } from './routes/admin.ts'
import { agentRoutes } from './routes/agents.ts'
import { contentRoutes } from './routes/content.ts'
import type { ServiceContext } from './routes/context.ts'
import { fileRoutes } from './routes/files.ts'
import { logStreamRoutes } from './routes/log-stream.ts'
import { sessionRoutes } from './routes/sessions.ts'

/** The one project there is. */
export const basePath = '/api/projects/demo'

/** Longer ones name nothing: the answer is 414. */
const maxParamLength = 300

export interface ServerParts {
  readonly context: ServiceContext
  readonly emulator: Emulator
  readonly faults: Faults
  readonly logStreams: LogStreams
  readonly logger: Logger
  readonly certificate: Certificate | undefined
}

export function buildServer(parts: ServerParts): FastifyInstance {
  const { context, emulator, faults, logStreams, logger, certificate } = parts
  let closeSessions = (): void => undefined
  const app = fastify({
    logger: false,
    forceCloseConnections: true,
    genReqId: () => randomBytes(16).toString('hex'),
    // The service looks `sessions//files` up as a session called `files`.
    routerOptions: { maxParamLength, ignoreDuplicateSlashes: true },
    frameworkErrors: (error, request, reply) => {
      const failure = new ServiceFailure(error.statusCode ?? 400, 'invalid_request', 'The URL is not valid.')
      void sendFailure(request, reply, failure)
    },
    serverFactory: (handler) => {
      const listener = createListener(certificate, handler as RequestHandler)
      closeSessions = listener.closeSessions
      return listener.server
    },
  })
  app.addHook('preClose', (done) => {
    closeSessions()
    done()
  })
  app.decorateRequest('fault', undefined)
  app.decorateRequest('call', undefined)
  readJsonBodies(app)
  answerFailures(app, logger)

  app.addHook('onSend', (request, reply, payload, done) => {
    reply.header('x-request-id', request.id)
    reply.header('apim-request-id', request.id)
    reply.header('api-supported-versions', '1.0,2025-05-15-preview,2025-11-15-preview')
    reply.header('x-ms-response-type', reply.statusCode < 400 ? 'standard' : 'error')
    reply.header('x-content-type-options', 'nosniff')
    if (request.fault === undefined) {
      context.gate.answers(request, reply)
      done(null, payload)
      return
    }
    context.effects.onAnswer(request, reply, request.fault, payload).then(
      (changed) => {
        context.gate.answers(request, reply)
        done(null, changed)
      },
      // Cut: there is nobody to send anything to.
      () => undefined,
    )
  })

  void app.register(
    (service, _options, done) => {
      for (const routes of [
        sessionRoutes,
        agentRoutes,
        fileRoutes,
        contentRoutes,
        logStreamRoutes(logStreams),
      ]) {
        routes(service, context)
      }
      done()
    },
    { prefix: basePath },
  )
  void app.register(
    (admin, _options, done) => {
      admin.addHook('onRequest', (request, _reply, next) => {
        const isOpen = request.headers.authorization === `Bearer ${emulator.token}`
        next(isOpen ? undefined : new ServiceFailure(401, 'unauthorized', 'The token is not right.'))
      })
      adminRoutes(admin, emulator, faults)
      done()
    },
    { prefix: '/__emulator' },
  )
  return app
}

/** A body may be missing wherever JSON is taken. */
function readJsonBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    ['application/json', 'application/merge-patch+json'],
    { parseAs: 'string' },
    (_request, body, done) => {
      try {
        done(null, body === '' ? undefined : JSON.parse(body.toString()))
      } catch {
        done(badRequest('The request body is not valid JSON.'))
      }
    },
  )
}

function answerFailures(app: FastifyInstance, logger: Logger): void {
  app.setNotFoundHandler((request, reply) => sendFailure(request, reply, notFound('There is no such route.')))
  app.setErrorHandler((error: FastifyError, request, reply) => {
    // The connection is gone: no answer is sent, and fastify must not try.
    if (error instanceof ConnectionCut || request.raw.socket.destroyed) return reply.hijack()
    if (error instanceof ServiceFailure) return sendFailure(request, reply, error)
    const { statusCode } = error
    if (statusCode !== undefined && statusCode < 500) {
      return sendFailure(request, reply, new ServiceFailure(statusCode, 'invalid_request', error.message))
    }
    logger.error({ err: error, method: request.method, url: request.url }, 'request failed')
    return sendFailure(
      request,
      reply,
      new ServiceFailure(500, 'server_error', 'The server had an error. Please try again.'),
    )
  })
}
