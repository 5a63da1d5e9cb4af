/**
 * Patch of an agent's endpoint and card. Layer: emulator.
 *
 * Invariant: a merge patch: what it does not name stays, null removes.
 */

import * as v from 'valibot'
import { badRequest, sendJson } from '../envelope.ts'
import type { AgentRecord } from '../store.ts'
import type { AgentParams, Routes } from './context.ts'

const agentPatch = v.strictObject({
  agent_endpoint: v.nullish(v.record(v.string(), v.unknown())),
  agent_card: v.nullish(v.record(v.string(), v.unknown())),
})

export const agentRoutes: Routes = (app, { gate, store, effects }) => {
  app.patch<{ Params: AgentParams }>(
    '/agents/:agent',
    { onRequest: gate.entry('patchAgent') },
    async (request, reply) => {
      const { record } = store.agent(request.params.agent)
      const patch = v.safeParse(agentPatch, request.body)
      if (!patch.success) throw badRequest(`The patch is not valid: ${patch.issues[0].message}`)
      await effects.commit(request, {
        make: () => {
          for (const key of ['agent_endpoint', 'agent_card'] as const) {
            if (key in patch.output) record[key] = mergePatch(record[key], patch.output[key])
          }
          store.saveAgent(record)
        },
        isStillPossible: () => true,
      })
      return sendJson(request, reply, 200, agentObject(record))
    },
  )
}

function agentObject(record: AgentRecord): object {
  return {
    object: 'agent',
    id: record.name,
    name: record.name,
    versions: {
      latest: {
        object: 'agent.version',
        id: `${record.name}:1`,
        name: record.name,
        version: '1',
        metadata: {},
        created_at: 0,
        status: 'active',
        definition: { kind: 'hosted', cpu: '0.5', memory: '1Gi' },
      },
    },
    ...(record.agent_endpoint === undefined ? {} : { agent_endpoint: record.agent_endpoint }),
    ...(record.agent_card === undefined ? {} : { agent_card: record.agent_card }),
  }
}

/** RFC 7396. */
function mergePatch(target: unknown, patch: unknown): unknown {
  if (patch === null || patch === undefined) return undefined
  if (!isObject(patch)) return patch
  const merged = isObject(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    const next = mergePatch(merged[key], value)
    if (next === undefined) Reflect.deleteProperty(merged, key)
    else merged[key] = next
  }
  return merged
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
