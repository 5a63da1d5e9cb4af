/**
 * Agents and sessions in the data directory. Layer: emulator.
 *
 *   data/agents/AGENT/agent.json
 *   data/agents/AGENT/sessions/SESSION/{session.json, home/, incoming/, console.log}
 *
 * Invariant: what exists is what the directory holds: another emulator started on it has the same agents,
 * sessions, files and console.
 */

import { randomBytes } from 'node:crypto'
import * as fs from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { LRUCache } from 'lru-cache'
import { type AgentRecord, type AgentVersion, findVersion, firstVersion, routedVersion } from './agent.ts'
import { badRequest, conflict, notFound, versionNotFound } from './envelope.ts'
import { retentionSeconds, StoredSession, type SessionRecord, type SessionSettings } from './session.ts'

export interface SessionWish {
  readonly id?: string | undefined
  readonly agentVersion?: string | undefined
  readonly isolationKey?: string | undefined
  readonly delegated?: boolean | undefined
}

interface KnownAgent {
  record: AgentRecord
  readonly sessions: Map<string, StoredSession>
  /** Deleted ones: a cursor that names one keeps its place. */
  readonly departed: LRUCache<string, SessionRecord>
}

/** Data from before there were versions names none. */
type StoredAgent = Omit<AgentRecord, 'versions'> & Partial<Pick<AgentRecord, 'versions'>>

const rememberedDeparted = 10_000

const agentName = /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/
const sessionId = /^[A-Za-z0-9_-]{8,128}$/

export class Store {
  readonly #agents = new Map<string, KnownAgent>()
  readonly #data: string
  readonly #settings: SessionSettings

  constructor(data: string, settings: SessionSettings) {
    this.#data = data
    this.#settings = settings
    fs.rmSync(join(data, 'trash'), { recursive: true, force: true })
    fs.mkdirSync(join(data, 'trash'), { recursive: true })
    fs.mkdirSync(join(data, 'agents'), { recursive: true })
    for (const name of fs.readdirSync(join(data, 'agents'))) this.#loadAgent(name)
  }

  /** Makes an agent and a session where there is none; true when the session is new. */
  ensureSession(agent: string, id: string): boolean {
    if (!this.#agents.has(agent)) this.#addAgent(agent)
    if (this.agent(agent).sessions.has(id)) return false
    this.createSession(agent, { id })
    return true
  }

  agent(name: string): KnownAgent {
    const agent = this.#agents.get(name)
    if (agent === undefined) throw notFound(`Agent '${name}' was not found.`)
    return agent
  }

  /** A session, or undefined when there is no such agent or session. */
  find(agent: string, id: string): StoredSession | undefined {
    return this.#agents.get(agent)?.sessions.get(id)
  }

  agents(): readonly AgentRecord[] {
    return [...this.#agents.values()].map(({ record }) => record)
  }

  /** A session that is there, or was until it was deleted, as long as that is remembered. */
  recordOf(agent: string, id: string): SessionRecord | undefined {
    const { sessions, departed } = this.agent(agent)
    return sessions.get(id)?.record ?? departed.get(id)
  }

  /** Takes the place of what was known of the agent. */
  saveAgent(record: AgentRecord): void {
    const agent = this.agent(record.name)
    this.#writeAgent(record)
    agent.record = record
  }

  addVersion(agent: string, version: Omit<AgentVersion, 'version'>): AgentVersion {
    const { record } = this.agent(agent)
    const added = { ...version, version: String(record.versions.length + 1) }
    this.saveAgent({ ...record, versions: [...record.versions, added] })
    return added
  }

  createSession(agentName: string, wanted: SessionWish): StoredSession {
    const { sessions, record: agent } = this.agent(agentName)
    const id = wanted.id ?? newSessionId()
    if (!sessionId.test(id))
      throw badRequest(`'${id}' is not a valid session id: 8 to 128 of A-Z a-z 0-9 _ -`)
    if (sessions.has(id)) throw conflict(`Session '${id}' exists already.`)
    const agentVersion = wanted.agentVersion ?? routedVersion(agent, id)
    if (findVersion(agent, agentVersion) === undefined) throw versionNotFound(agentName, agentVersion)
    const now = Math.floor(this.#settings.clock.wallMs() / 1000)
    const record: SessionRecord = {
      id,
      agent: agentName,
      agentVersion,
      createdAt: now,
      lastAccessedAt: now,
      expiresAt: now + retentionSeconds,
      delegated: wanted.delegated ?? false,
      ...(wanted.isolationKey === undefined ? {} : { isolationKey: wanted.isolationKey }),
    }
    const session = new StoredSession(this.#directoryOf(agentName, id), record, this.#settings)
    session.save()
    sessions.set(id, session)
    return session
  }

  /** Gone at once for every caller; the disk follows. Nothing happens when there is none. */
  async deleteSession(agent: string, id: string): Promise<void> {
    const { sessions, departed } = this.#agents.get(agent) ?? {}
    const session = sessions?.get(id)
    if (session === undefined) return
    sessions?.delete(id)
    departed?.set(id, session.record)
    const trash = join(this.#data, 'trash', randomBytes(8).toString('hex'))
    fs.renameSync(this.#directoryOf(agent, id), trash)
    await rm(trash, { recursive: true, force: true })
  }

  /** Writes what is only in memory: the newest times of access. */
  close(): void {
    for (const agent of this.#agents.values()) for (const session of agent.sessions.values()) session.flush()
  }

  #addAgent(name: string): void {
    if (!agentName.test(name)) throw badRequest(`'${name}' is not a valid agent name.`)
    fs.mkdirSync(join(this.#data, 'agents', name, 'sessions'), { recursive: true })
    const record: AgentRecord = { name, versions: [firstVersion] }
    this.#writeAgent(record)
    this.#know(record, new Map())
  }

  #loadAgent(name: string): void {
    const directory = join(this.#data, 'agents', name)
    const stored = JSON.parse(fs.readFileSync(join(directory, 'agent.json'), 'utf8')) as StoredAgent
    const sessions = new Map<string, StoredSession>()
    for (const id of fs.readdirSync(join(directory, 'sessions'))) {
      const file = join(directory, 'sessions', id, 'session.json')
      // A session whose creation was cut off was never answered.
      if (!fs.existsSync(file)) continue
      const session = JSON.parse(fs.readFileSync(file, 'utf8')) as SessionRecord
      sessions.set(id, new StoredSession(join(directory, 'sessions', id), session, this.#settings))
    }
    this.#know({ ...stored, versions: stored.versions ?? [firstVersion] }, sessions)
  }

  #know(record: AgentRecord, sessions: Map<string, StoredSession>): void {
    this.#agents.set(record.name, { record, sessions, departed: new LRUCache({ max: rememberedDeparted }) })
  }

  #writeAgent(record: AgentRecord): void {
    fs.writeFileSync(
      join(this.#data, 'agents', record.name, 'agent.json'),
      JSON.stringify(record, undefined, 2),
    )
  }

  #directoryOf(agent: string, id: string): string {
    return join(this.#data, 'agents', agent, 'sessions', id)
  }
}

/** As seen: 16 hexadecimal digits, `00`, 32 letters and digits. */
function newSessionId(): string {
  return `${randomBytes(8).toString('hex')}00${randomBytes(16).toString('hex')}`
}
