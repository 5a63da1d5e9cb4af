/**
 * The emulator's own surface, `/__emulator`, for tests in other processes: what the `Emulator` object
 * offers, over HTTP. Layer: emulator. No part of the service.
 *
 *   GET counts · DELETE counts · GET calls · POST faults → {id} · GET faults/ID → {met} · DELETE faults/ID
 *   POST log {agent, session, lines, stream?} · POST log-streams/close {reset?}
 *   POST sessions/expire|sleep|delete {agent, session} · PUT token {token}
 *
 * Invariant: the token it was started with always opens it, whatever the service accepts meanwhile.
 */

import type { FastifyInstance } from 'fastify'
import * as v from 'valibot'
import { badRequest, notFound } from '../envelope.ts'
import type { Emulator } from '../control.ts'
import type { Faults } from '../faults.ts'
import { verbs } from '../traffic.ts'

const match = {
  verb: v.exactOptional(v.picklist(verbs)),
  path: v.exactOptional(v.string()),
  /** A regular expression over the path. */
  pattern: v.exactOptional(v.string()),
  times: v.exactOptional(v.pipe(v.number(), v.integer(), v.minValue(1))),
  every: v.exactOptional(v.pipe(v.number(), v.integer(), v.minValue(1))),
}
const count = v.pipe(v.number(), v.minValue(0))

const faultRule = v.variant('kind', [
  v.strictObject({
    ...match,
    kind: v.literal('status'),
    status: v.pipe(v.number(), v.integer(), v.minValue(400), v.maxValue(599)),
    code: v.exactOptional(v.string()),
    retryAfter: v.exactOptional(count),
  }),
  v.strictObject({ ...match, kind: v.literal('reset'), when: v.picklist(['before-commit', 'after-commit']) }),
  v.strictObject({
    ...match,
    kind: v.literal('stall'),
    where: v.picklist(['headers', 'body']),
    afterBytes: v.exactOptional(count),
  }),
  v.strictObject({ ...match, kind: v.literal('cut'), afterBytes: count }),
  v.strictObject({ ...match, kind: v.literal('late-commit'), afterMs: count }),
  v.strictObject({ ...match, kind: v.literal('partial'), bytes: count }),
  v.strictObject({ ...match, kind: v.literal('delay'), ms: count }),
  v.strictObject({
    ...match,
    kind: v.literal('hold'),
    at: v.exactOptional(v.picklist(['arrival', 'answer'])),
  }),
])

const sessionName = { agent: v.string(), session: v.string() }
const logLines = v.strictObject({
  ...sessionName,
  lines: v.union([v.string(), v.array(v.string())]),
  stream: v.exactOptional(v.picklist(['stdout', 'stderr'])),
})

export function adminRoutes(app: FastifyInstance, emulator: Emulator, faults: Faults): void {
  app.get('/counts', () => ({ verbs: emulator.counts(), statuses: emulator.statuses() }))
  app.delete('/counts', (_request, reply) => {
    emulator.resetCounts()
    return reply.code(204).send()
  })
  app.get('/calls', () => emulator.calls())

  app.post('/faults', (request, reply) => {
    const { pattern, ...rule } = read(faultRule, request.body)
    const live = faults.add(pattern === undefined ? rule : { ...rule, path: new RegExp(pattern, 'v') })
    return reply.code(201).send({ id: live.id })
  })
  app.get<{ Params: { id: string } }>('/faults/:id', (request) => {
    const live = faults.find(request.params.id)
    if (live === undefined) throw notFound('There is no such fault.')
    return { id: live.id, met: live.met }
  })
  app.delete<{ Params: { id: string } }>('/faults/:id', (request, reply) => {
    faults.find(request.params.id)?.remove()
    return reply.code(204).send()
  })

  app.post('/log', (request, reply) => {
    const { agent, session, lines, stream } = read(logLines, request.body)
    emulator.appendLog(agent, session, lines, stream)
    return reply.code(204).send()
  })
  app.post('/log-streams/close', (request, reply) => {
    const body = read(v.strictObject({ reset: v.optional(v.boolean(), false) }), request.body ?? {})
    emulator.closeLogStreams(body)
    return reply.code(204).send()
  })
  app.post<{ Params: { change: string } }>('/sessions/:change', async (request, reply) => {
    const { agent, session } = read(v.strictObject(sessionName), request.body)
    switch (request.params.change) {
      case 'expire':
        emulator.expireSession(agent, session)
        break
      case 'sleep':
        emulator.sleepSession(agent, session)
        break
      case 'delete':
        await emulator.deleteSession(agent, session)
        break
      default:
        throw notFound('There is no such change.')
    }
    return reply.code(204).send()
  })
  app.put('/token', (request, reply) => {
    emulator.setToken(read(v.strictObject({ token: v.nullable(v.string()) }), request.body).token)
    return reply.code(204).send()
  })
}

function read<Schema extends v.GenericSchema>(schema: Schema, body: unknown): v.InferOutput<Schema> {
  const parsed = v.safeParse(schema, body)
  if (!parsed.success) throw badRequest(parsed.issues[0].message)
  return parsed.output
}
