/**
 * What the routes share, and the one way for them to a session. Layer: emulator.
 *
 * Invariant: no route reaches a session but through `accessSession`, which decides who may.
 */

import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Clock } from '../../clock.ts'
import { ServiceFailure, sessionNotFound } from '../envelope.ts'
import type { FaultEffects } from '../fault-effects.ts'
import type { Gate } from '../gate.ts'
import type { EmulatorOptions } from '../options.ts'
import type { StoredSession, SessionRecord } from '../session.ts'
import type { Store } from '../store.ts'

export interface ServiceContext {
  readonly store: Store
  readonly gate: Gate
  readonly effects: FaultEffects
  readonly clock: Clock
  readonly options: EmulatorOptions
}

export type RouteGroup = (app: FastifyInstance, context: ServiceContext) => void

export interface AgentParams {
  readonly agent: string
}

export interface SessionParams extends AgentParams {
  readonly session: string
}

export type Query = Readonly<Record<string, unknown>>

/** Both names under which clients have sent a key. */
export function isolationKeyOf(request: FastifyRequest): string | undefined {
  const key = request.headers['x-ms-user-isolation-key'] ?? request.headers['x-session-isolation-key']
  return Array.isArray(key) ? key[0] : key
}

export function isDelegated(request: FastifyRequest): boolean {
  return request.headers['x-ms-user-identity'] !== undefined
}

/** The session, if it is there and the caller's. */
export function accessSession(
  { store }: ServiceContext,
  request: FastifyRequest,
  { agent, session: id }: SessionParams,
): StoredSession {
  const session = store.find(agent, id)
  if (session === undefined || !hasKey(store, request, session.record)) throw sessionNotFound(id)
  if (session.record.delegated !== isDelegated(request)) {
    throw new ServiceFailure(403, 'session_not_accessible', 'The session belongs to another identity.')
  }
  return session
}

/** The caller's session, awake: for every file call. */
export function useSession(
  context: ServiceContext,
  request: FastifyRequest,
  params: SessionParams,
): StoredSession {
  const session = accessSession(context, request, params)
  session.useFiles()
  return session
}

/** Whether a caller's key opens a session, so that others' sessions are not even listed. */
export function hasKey(store: Store, request: FastifyRequest, record: SessionRecord): boolean {
  const key = isolationKeyOf(request)
  if (record.isolationKey === undefined) return true
  return key === undefined ? !requiresKey(store, record.agent) : key === record.isolationKey
}

/** An agent endpoint whose isolation key comes from the header refuses callers without one. */
function requiresKey(store: Store, agent: string): boolean {
  const schemes = store.agent(agent).record.agent_endpoint?.authorization_schemes ?? []
  return schemes.some((scheme) => scheme.type === 'Entra' && scheme.isolation_key_source?.kind === 'Header')
}
