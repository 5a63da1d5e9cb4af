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
import { badRequest, conflict, notFound } from './envelope.ts'
import { retentionSeconds, Session, type SessionRecord, type SessionSettings } from './session.ts'

/** `agent.json`: what can be patched of an agent. */
export interface AgentRecord {
  readonly name: string
  agent_endpoint?: unknown
  agent_card?: unknown
}

export interface NewSession {
  readonly id?: string | undefined
  readonly agentVersion?: string | undefined
  readonly isolationKey?: string | undefined
  readonly delegated?: boolean | undefined
}

interface Agent {
  readonly record: AgentRecord
  readonly sessions: Map<string, Session>
}

const agentName = /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/
const sessionId = /^[A-Za-z0-9_-]{8,128}$/

export class Store {
  readonly #agents = new Map<string, Agent>()
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

  agent(name: string): Agent {
    const agent = this.#agents.get(name)
    if (agent === undefined) throw notFound(`Agent '${name}' was not found.`)
    return agent
  }

  /** A session, or undefined when there is no such agent or session. */
  find(agent: string, id: string): Session | undefined {
    return this.#agents.get(agent)?.sessions.get(id)
  }

  saveAgent(record: AgentRecord): void {
    fs.writeFileSync(
      join(this.#data, 'agents', record.name, 'agent.json'),
      JSON.stringify(record, undefined, 2),
    )
  }

  createSession(agentName: string, wanted: NewSession): Session {
    const { sessions } = this.agent(agentName)
    const id = wanted.id ?? newSessionId()
    if (!sessionId.test(id))
      throw badRequest(`'${id}' is not a valid session id: 8 to 128 of A-Z a-z 0-9 _ -`)
    if (sessions.has(id)) throw conflict(`Session '${id}' exists already.`)
    const now = Math.floor(this.#settings.clock.wallMs() / 1000)
    const record: SessionRecord = {
      id,
      agent: agentName,
      agentVersion: wanted.agentVersion ?? '1',
      createdAt: now,
      lastAccessedAt: now,
      expiresAt: now + retentionSeconds,
      delegated: wanted.delegated ?? false,
      ...(wanted.isolationKey === undefined ? {} : { isolationKey: wanted.isolationKey }),
    }
    const session = new Session(this.#directoryOf(agentName, id), record, this.#settings)
    session.save()
    sessions.set(id, session)
    return session
  }

  /** Gone at once for every caller; the disk follows. Nothing happens when there is none. */
  async deleteSession(agent: string, id: string): Promise<void> {
    if (!this.#agents.get(agent)?.sessions.delete(id)) return
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
    const record: AgentRecord = { name }
    this.saveAgent(record)
    this.#agents.set(name, { record, sessions: new Map() })
  }

  #loadAgent(name: string): void {
    const directory = join(this.#data, 'agents', name)
    const record = JSON.parse(fs.readFileSync(join(directory, 'agent.json'), 'utf8')) as AgentRecord
    const sessions = new Map<string, Session>()
    for (const id of fs.readdirSync(join(directory, 'sessions'))) {
      const file = join(directory, 'sessions', id, 'session.json')
      // A session whose creation was cut off was never answered.
      if (!fs.existsSync(file)) continue
      const stored = JSON.parse(fs.readFileSync(file, 'utf8')) as SessionRecord
      sessions.set(id, new Session(join(directory, 'sessions', id), stored, this.#settings))
    }
    this.#agents.set(name, { record, sessions })
  }

  #directoryOf(agent: string, id: string): string {
    return join(this.#data, 'agents', agent, 'sessions', id)
  }
}

/** As seen: 16 hexadecimal digits, `00`, 32 letters and digits. */
function newSessionId(): string {
  return `${randomBytes(8).toString('hex')}00${randomBytes(16).toString('hex')}`
}
