/**
 * The log stream in both its forms, with and without the agent's version. Layer: emulator.
 *
 * Invariant: watching a console neither wakes a session nor counts as its use.
 */

import type { FastifyReply, FastifyRequest } from 'fastify'
import { keptLines } from '../console-log.ts'
import { badRequest, notFound, sessionNotFound } from '../envelope.ts'
import { defaultReplayLines, type LogStreamRequest, openLogStream } from '../log-stream.ts'
import type { LogStreams } from '../log-streams.ts'
import { accessSession, type Query, type RouteGroup, type SessionParams } from './context.ts'

const suffix = ':logstream'

interface LogRoute {
  Params: SessionParams
  Querystring: Query
}

export function logStreamRoutes(logStreams: LogStreams): RouteGroup {
  return (app, context) => {
    const handler = (request: FastifyRequest<LogRoute>, reply: FastifyReply): FastifyReply => {
      const { agent, session: target } = request.params
      if (!target.endsWith(suffix)) throw notFound('There is no such operation.')
      const id = target.slice(0, -suffix.length)
      const session = accessSession(context, request, { agent, session: id })
      if (session.status === 'expired') throw sessionNotFound(id)
      const options = context.options.logStream ?? {}
      const stream = openLogStream(session, readRequest(request.query, options.replayLines), {
        clock: context.clock,
        options,
      })
      logStreams.add(stream, request)
      return reply
        .code(200)
        .header('content-type', 'text/event-stream')
        .header('cache-control', 'no-cache')
        .send(stream)
    }
    const onRequest = context.gate.entry('logStream')
    app.get<LogRoute>('/agents/:agent/versions/:version/sessions/:session', { onRequest }, handler)
    app.get<LogRoute>('/agents/:agent/sessions/:session', { onRequest }, handler)
  }
}

function readRequest(query: Query, replayLines: number | undefined): LogStreamRequest {
  const kind = query['kind'] ?? 'console'
  if (kind !== 'console' && kind !== 'system') throw badRequest("The parameter 'kind' is not valid.")
  const follow = query['follow'] ?? 'true'
  if (follow !== 'true' && follow !== 'false') throw badRequest("The parameter 'follow' is not valid.")
  const tail = query['tail'] === undefined ? undefined : Number(query['tail'])
  if (tail !== undefined && !(Number.isInteger(tail) && tail >= 1 && tail <= keptLines)) {
    throw badRequest(`The parameter 'tail' must be between 1 and ${keptLines}.`)
  }
  return { kind, follow: follow === 'true', replay: tail ?? replayLines ?? defaultReplayLines }
}
