/**
 * One session: its record, its files, its console. Layer: emulator.
 *
 *   active --idleAfterMs without a file call, or :stop--> idle --file call--> waking --wakeMs--> active
 *   any --expires_at passes--> expired
 *
 * Invariant: the record on the disk is written before a change of it is answered, save the last access,
 * which may be a minute old there.
 */

import { randomUUID } from 'node:crypto'
import * as fs from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../clock.ts'
import { ConsoleLog } from './console-log.ts'
import { ServiceFailure, sessionNotFound } from './envelope.ts'
import { Home } from './home.ts'

/** `session.json`. Times are Unix seconds. */
export interface SessionRecord {
  readonly id: string
  readonly agent: string
  readonly agentVersion: string
  readonly createdAt: number
  lastAccessedAt: number
  expiresAt: number
  stoppedAt?: number
  /** The isolation key it was created with, if any. */
  readonly isolationKey?: string
  /** Whether it was created on behalf of somebody else (`x-ms-user-identity`). */
  readonly delegated: boolean
}

export interface SessionSettings {
  readonly clock: Clock
  readonly idleAfterMs: number
  readonly wakeMs: number
}

export const retentionSeconds = 2_592_000
const accessSaveSeconds = 60

export class StoredSession {
  readonly record: SessionRecord
  readonly home: Home
  readonly console: ConsoleLog
  readonly #directory: string
  readonly #settings: SessionSettings
  #lastFileCall: number
  #awakeAt: number | undefined
  #savedAccess: number

  constructor(directory: string, record: SessionRecord, settings: SessionSettings) {
    this.#directory = directory
    this.record = record
    this.#settings = settings
    this.home = new Home(join(directory, 'home'), join(directory, 'incoming'))
    this.console = new ConsoleLog(join(directory, 'console.log'), settings.clock)
    this.#lastFileCall = settings.clock.now()
    this.#savedAccess = record.lastAccessedAt
  }

  get status(): 'active' | 'idle' | 'expired' {
    if (this.record.expiresAt <= this.#seconds()) return 'expired'
    return this.record.stoppedAt !== undefined || this.#isQuiet() ? 'idle' : 'active'
  }

  /** The service's session resource. */
  get resource(): object {
    const { record } = this
    return {
      agent_session_id: record.id,
      version_indicator: { type: 'version_ref', agent_version: record.agentVersion },
      status: this.status,
      created_at: record.createdAt,
      last_accessed_at: record.lastAccessedAt,
      expires_at: record.expiresAt,
      ...(record.stoppedAt === undefined ? {} : { stopped_at: record.stoppedAt }),
    }
  }

  /** Notes a file call: wakes the sandbox, and refuses with 424 while it is not up. */
  useFiles(): void {
    const now = this.#settings.clock.now()
    const status = this.status
    if (status === 'expired') throw sessionNotFound(this.record.id)
    if (status === 'idle') {
      this.#awakeAt ??= now + this.#settings.wakeMs
      if (now < this.#awakeAt) {
        throw new ServiceFailure(424, 'session_not_ready', 'The session did not become ready in time.')
      }
      this.#awakeAt = undefined
      delete this.record.stoppedAt
      this.save()
    }
    this.#lastFileCall = now
    this.#touch()
  }

  /** Compute goes, files stay. */
  stop(): void {
    if (this.record.stoppedAt !== undefined) {
      throw new ServiceFailure(409, 'session_already_stopped', 'The session is already stopped.')
    }
    this.record.stoppedAt = this.#seconds()
    this.#awakeAt = undefined
    this.save()
  }

  expire(): void {
    this.record.expiresAt = this.#seconds()
    this.save()
  }

  save(): void {
    const temporary = join(this.#directory, randomUUID())
    fs.writeFileSync(temporary, JSON.stringify(this.record, undefined, 2))
    fs.renameSync(temporary, join(this.#directory, 'session.json'))
    this.#savedAccess = this.record.lastAccessedAt
  }

  /** Writes the last access at the end; of a directory that was taken away meanwhile, nothing is left to write. */
  flush(): void {
    if (this.record.lastAccessedAt !== this.#savedAccess && fs.existsSync(this.#directory)) this.save()
  }

  #touch(): void {
    const now = this.#seconds()
    if (now === this.record.lastAccessedAt) return
    this.record.lastAccessedAt = now
    this.record.expiresAt = now + retentionSeconds
    if (now - this.#savedAccess >= accessSaveSeconds) this.save()
  }

  #isQuiet(): boolean {
    return this.#settings.clock.now() - this.#lastFileCall >= this.#settings.idleAfterMs
  }

  #seconds(): number {
    return Math.floor(this.#settings.clock.wallMs() / 1000)
  }
}
