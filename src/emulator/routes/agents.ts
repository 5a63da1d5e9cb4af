/**
 * Agents and their versions: get and list, a new version, patch of the endpoint and the card. Layer: emulator.
 *
 * Invariant: a merge patch: what it does not name stays, null removes; traffic goes to versions that exist.
 */

import * as v from 'valibot'
import {
  type AgentRecord,
  agentResource,
  type AgentVersion,
  findVersion,
  versionResource,
  versionResourceId,
} from '../agent.ts'
import { patchAgent } from '../agent-schema.ts'
import { badRequest, sendJson, versionNotFound } from '../envelope.ts'
import { cutPage, pageBody, readPageQuery } from '../paging.ts'
import type { AgentParams, Query, RouteGroup } from './context.ts'

interface VersionParams extends AgentParams {
  readonly version: string
}

/** What the sandbox is made of is not looked at. */
const newVersion = v.looseObject({
  definition: v.looseObject({ kind: v.string() }),
  description: v.nullish(v.string()),
  metadata: v.nullish(v.record(v.string(), v.string())),
})

export const agentRoutes: RouteGroup = (app, { gate, store, effects, clock, options }) => {
  const pageCap = options.pageSize ?? 100
  const one = '/agents/:agent'
  const versions = '/agents/:agent/versions'

  app.get<{ Querystring: Query }>('/agents', { onRequest: gate.entry('listAgents') }, (request, reply) => {
    const query = readPageQuery(request.query, pageCap)
    const records = [...store.agents()].sort((a, b) => (a.name < b.name ? -1 : 1))
    const inOrder = query.descending ? records.reverse() : records
    const page = cutPage(inOrder, query, nameOf, query.after, query.before)
    return sendJson(request, reply, 200, pageBody(page, agentResource, nameOf))
  })

  app.get<{ Params: AgentParams }>(one, { onRequest: gate.entry('getAgent') }, (request, reply) =>
    sendJson(request, reply, 200, agentResource(store.agent(request.params.agent).record)),
  )

  app.patch<{ Params: AgentParams }>(one, { onRequest: gate.entry('patchAgent') }, async (request, reply) => {
    const { agent } = request.params
    const patched = (): AgentRecord => patchRecord(store.agent(agent).record, request.body)
    patched()
    await effects.commit(request, {
      make: () => store.saveAgent(patched()),
      isStillPossible: () => true,
    })
    return sendJson(request, reply, 200, agentResource(store.agent(agent).record))
  })

  app.post<{ Params: AgentParams }>(
    versions,
    { onRequest: gate.entry('createVersion') },
    async (request, reply) => {
      const { agent } = request.params
      store.agent(agent)
      const body = v.safeParse(newVersion, request.body)
      if (!body.success) throw badRequest(`The request body is not valid: ${body.issues[0].message}`)
      const { definition, description, metadata } = body.output
      const version = await effects.commit(request, {
        make: () =>
          store.addVersion(agent, {
            createdAt: Math.floor(clock.wallMs() / 1000),
            definition,
            description: description ?? undefined,
            metadata: metadata ?? undefined,
          }),
        isStillPossible: () => true,
      })
      return sendJson(request, reply, 200, versionResource(store.agent(agent).record, version))
    },
  )

  app.get<{ Params: AgentParams; Querystring: Query }>(
    versions,
    { onRequest: gate.entry('listVersions') },
    (request, reply) => {
      const query = readPageQuery(request.query, pageCap)
      const { record } = store.agent(request.params.agent)
      const inOrder = query.descending ? record.versions.toReversed() : record.versions
      const idOf = (version: AgentVersion): string => versionResourceId(record.name, version)
      const place = (version: AgentVersion): string => version.version.padStart(8, '0')
      const cursorPlace = (id: string | undefined): string | undefined => {
        if (id === undefined) return undefined
        const version = record.versions.find((each) => idOf(each) === id)
        if (version === undefined) throw badRequest(`There is no version '${id}' to page from.`)
        return place(version)
      }
      const page = cutPage(inOrder, query, place, cursorPlace(query.after), cursorPlace(query.before))
      const body = pageBody(page, (version) => versionResource(record, version), idOf)
      return sendJson(request, reply, 200, body)
    },
  )

  app.get<{ Params: VersionParams }>(
    `${versions}/:version`,
    { onRequest: gate.entry('getVersion') },
    (request, reply) => {
      const { agent, version: wanted } = request.params
      const { record } = store.agent(agent)
      const version = findVersion(record, wanted)
      if (version === undefined) throw versionNotFound(agent, wanted)
      return sendJson(request, reply, 200, versionResource(record, version))
    },
  )
}

function patchRecord(record: AgentRecord, patch: unknown): AgentRecord {
  const { name, versions, ...current } = record
  const patched = patchAgent(current, patch)
  for (const rule of patched.agent_endpoint?.version_selector?.version_selection_rules ?? []) {
    if (findVersion(record, rule.agent_version) === undefined)
      throw badRequest(`The patch is not valid: there is no version '${rule.agent_version}' of '${name}'.`)
  }
  return { name, versions, ...patched }
}

function nameOf({ name }: AgentRecord): string {
  return name
}
