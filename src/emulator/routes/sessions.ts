/**
 * Create, get, list, stop and delete of sessions. Layer: emulator.
 *
 * Invariant: neither getting nor listing a session counts as using it.
 */

import * as v from 'valibot'
import { versionId } from '../agent-schema.ts'
import { badRequest, notFound, sendJson } from '../envelope.ts'
import { cutPage, pageBody, readPageQuery } from '../paging.ts'
import type { StoredSession, SessionRecord } from '../session.ts'
import {
  accessSession,
  type AgentParams,
  hasKey,
  isDelegated,
  isolationKeyOf,
  type Query,
  type RouteGroup,
  type SessionParams,
} from './context.ts'

const newSession = v.nullish(
  v.looseObject({
    agent_session_id: v.nullish(v.string()),
    version_indicator: v.nullish(v.object({ type: v.literal('version_ref'), agent_version: versionId })),
  }),
)

export const sessionRoutes: RouteGroup = (app, context) => {
  const { gate, store, effects, options } = context
  const all = '/agents/:agent/endpoint/sessions'
  const one = '/agents/:agent/endpoint/sessions/:session'

  app.post<{ Params: AgentParams }>(
    all,
    { onRequest: gate.entry('createSession') },
    async (request, reply) => {
      const body = v.safeParse(newSession, request.body)
      if (!body.success) throw badRequest(`The request body is not valid: ${body.issues[0].message}`)
      const { agent } = request.params
      store.agent(agent)
      const session = await effects.commit(request, {
        make: () =>
          store.createSession(agent, {
            id: body.output?.agent_session_id ?? undefined,
            agentVersion: body.output?.version_indicator?.agent_version,
            isolationKey: isolationKeyOf(request),
            delegated: isDelegated(request),
          }),
        isStillPossible: () => true,
      })
      return sendJson(request, reply, 201, session.resource)
    },
  )

  app.get<{ Params: AgentParams; Querystring: Query }>(
    all,
    { onRequest: gate.entry('listSessions') },
    (request, reply) => {
      const { agent } = request.params
      const query = readPageQuery(request.query, options.pageSize ?? 100)
      const sessions = [...store.agent(agent).sessions.values()].filter(({ record }) =>
        hasKey(store, request, record),
      )
      const cursorPlace = (id: string | undefined): string | undefined => {
        if (id === undefined) return undefined
        const record = store.recordOf(agent, id)
        if (record === undefined || !hasKey(store, request, record))
          throw badRequest(`There is no session '${id}' to page from.`)
        return placeOf(record)
      }
      const place = ({ record }: StoredSession): string => placeOf(record)
      const page = cutPage(
        byCreation(sessions, query.descending),
        query,
        place,
        cursorPlace(query.after),
        cursorPlace(query.before),
      )
      const body = pageBody(
        page,
        ({ resource }) => resource,
        ({ record }) => record.id,
      )
      return sendJson(request, reply, 200, body)
    },
  )

  app.get<{ Params: SessionParams }>(one, { onRequest: gate.entry('getSession') }, (request, reply) =>
    sendJson(request, reply, 200, accessSession(context, request, request.params).resource),
  )

  app.delete<{ Params: SessionParams }>(
    one,
    { onRequest: gate.entry('deleteSession') },
    async (request, reply) => {
      const { agent, session } = request.params
      if (store.find(agent, session) !== undefined) accessSession(context, request, request.params)
      await effects.commit(request, {
        make: () => store.deleteSession(agent, session),
        isStillPossible: () => true,
      })
      return reply.code(204).send()
    },
  )

  app.post<{ Params: SessionParams }>(
    one,
    { onRequest: gate.entry('stopSession') },
    async (request, reply) => {
      const { agent, session: target } = request.params
      if (!target.endsWith(':stop')) throw notFound('There is no such operation.')
      const id = target.slice(0, -':stop'.length)
      const session = accessSession(context, request, { agent, session: id })
      await effects.commit(request, {
        make: () => session.stop(),
        isStillPossible: () => store.find(agent, id) === session,
      })
      return reply.code(204).send()
    },
  )

  // A session is looked for first: below one that is not there, even a word that is a route leads nowhere.
  app.all<{ Params: SessionParams }>(`${one}/*`, {
    onRequest: [
      gate.stranger(),
      (request) => {
        accessSession(context, request, request.params)
        throw notFound('There is no such route.')
      },
    ],
    handler: () => undefined,
  })
}

function byCreation(sessions: readonly StoredSession[], descending: boolean): readonly StoredSession[] {
  const sign = descending ? -1 : 1
  return sessions.toSorted((a, b) => (placeOf(a.record) < placeOf(b.record) ? -sign : sign))
}

/** The place of a session in the order of creation; the id decides within a second. */
function placeOf({ createdAt, id }: SessionRecord): string {
  return `${String(createdAt).padStart(12, '0')} ${id}`
}
