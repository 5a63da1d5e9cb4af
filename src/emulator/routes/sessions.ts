/**
 * Create, get, list, stop and delete of sessions. Layer: emulator.
 *
 * Invariant: neither getting nor listing a session counts as using it.
 */

import * as v from 'valibot'
import { badRequest, notFound, sendJson } from '../envelope.ts'
import { cutPage, readPageQuery } from '../paging.ts'
import type { Session } from '../session.ts'
import {
  accessSession,
  type AgentParams,
  hasKey,
  isDelegated,
  isolationKeyOf,
  type Query,
  type Routes,
  type SessionParams,
} from './context.ts'

/** A concrete version: aliases such as `@latest` are refused. */
const versionId = v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/))

const newSession = v.nullish(
  v.looseObject({
    agent_session_id: v.nullish(v.string()),
    version_indicator: v.nullish(v.object({ type: v.literal('version_ref'), agent_version: versionId })),
  }),
)

export const sessionRoutes: Routes = (app, context) => {
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
      const query = readPageQuery(request.query, options.pageSize ?? 100)
      const sessions = [...store.agent(request.params.agent).sessions.values()].filter((session) =>
        hasKey(store, request, session),
      )
      const positions = byCreation(sessions, query.descending)
      const positionOf = (id: string | undefined): string | undefined => {
        if (id === undefined) return undefined
        const index = positions.findIndex((each) => each.session.record.id === id)
        if (index < 0) throw badRequest(`There is no session '${id}' to page from.`)
        return positions[index]?.position
      }
      const page = cutPage(
        positions,
        query,
        (each) => each.position,
        positionOf(query.after),
        positionOf(query.before),
      )
      const data = page.items.map(({ session }) => session.resource)
      const first = page.items[0]?.session.record.id
      const last = page.items.at(-1)?.session.record.id
      return sendJson(request, reply, 200, { data, first_id: first, last_id: last, has_more: page.hasMore })
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
}

/** Sessions with their place in the order of creation; the id decides within a second. */
function byCreation(
  sessions: readonly Session[],
  descending: boolean,
): readonly { readonly position: string; readonly session: Session }[] {
  const sign = descending ? -1 : 1
  return sessions
    .map((session) => ({
      session,
      position: `${String(session.record.createdAt).padStart(12, '0')} ${session.record.id}`,
    }))
    .sort((a, b) => (a.position < b.position ? -sign : sign))
}
