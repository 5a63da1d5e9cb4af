/**
 * The durable memory of the write-back: one row per path that is not as the service has it, the attempts
 * that were sent, and what the service cannot keep (mtime, mode, owner). Layer: write-back.
 *
 * Invariant: a change is in the journal before the call that made it returns. WAL with synchronous=NORMAL:
 * it survives kill -9 at once, and a power cut up to the last sync, which is why rows carry the boot they
 * were written in, and length and checksum of what the spool must then hold. Nobody else opens the file
 * meanwhile: whoever looks at it takes the session's lock first.
 */
import { closeSync, fdatasync, openSync, statSync } from 'node:fs'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import type { LocalAttributes } from '../local-changes.ts'
import { certain, type DesiredCopy, type PathRecord, type Seal, type UploadAttempt } from '../record.ts'
import {
  asGeneration,
  asPath,
  type Columns,
  damaged,
  type JournalRow,
  nameOfDamaged,
  readAttempt,
  readAttributes,
  readRow,
  readSetAside,
  type SetAside,
} from './journal-rows.ts'
import { noFailpoint, type Failpoint, type Transition } from './failpoints.ts'
import { keepPrivate, takenAway } from './private-file.ts'

/** Each entry upgrades by one version; never edit one that was released. */
const upgrades = [
  `CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
   CREATE TABLE paths (
     path TEXT PRIMARY KEY,
     desired TEXT NOT NULL,      -- absent, directory, file
     generation INTEGER,         -- of a file whose bytes are in the spool
     source TEXT,                -- JSON {path, listed} of a file that is renamed and not fetched
     size INTEGER,               -- known when sealed
     crc32 INTEGER,
     boot TEXT NOT NULL,
     remote TEXT NOT NULL,       -- JSON of the last known remote state
     heirs TEXT NOT NULL,        -- JSON list of names
     since INTEGER NOT NULL,
     doubt_since INTEGER,
     parked TEXT                 -- JSON {code, message}
   ) WITHOUT ROWID;
   CREATE TABLE attempts (
     path TEXT NOT NULL, generation INTEGER NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL,
     PRIMARY KEY (path, generation, sha256)
   ) WITHOUT ROWID;
   CREATE TABLE attributes (
     path TEXT PRIMARY KEY, mode INTEGER, uid INTEGER, gid INTEGER,
     modified_ns TEXT, accessed_ns TEXT, changed_ns TEXT
   ) WITHOUT ROWID;
   CREATE TABLE set_aside (
     generation INTEGER PRIMARY KEY, path TEXT NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL
   );`,
  'ALTER TABLE paths DROP COLUMN parked;',
  /* nothing of the tables: an older program would miss the generations that have no file of their own */
  '',
  'ALTER TABLE paths ADD COLUMN stays_here INTEGER NOT NULL DEFAULT 0;',
  /* requests of the kernel that were carried out in the same transaction; only the newest can come again */
  'CREATE TABLE carried (slot INTEGER PRIMARY KEY, request INTEGER NOT NULL);',
]

/** Bytes in the spool; without a seal they may still change. */
export type Spooled = Pick<DesiredCopy, 'generation' | 'seal'>

/** What of a record is written down; `doubtSince` by the wall clock. */
export type DurableState = Readonly<
  Pick<PathRecord, 'path' | 'desired' | 'remote' | 'heirs' | 'since' | 'doubtSince' | 'scratch'>
>

/* Alone with the file, SQLite takes no lock and shares no index for each of the ten transactions that a small file
   lives through; and a change of one row writes a small page. Together half of what the journal costs. */
const settings = `PRAGMA locking_mode=EXCLUSIVE; PRAGMA page_size=1024; PRAGMA journal_mode=WAL;
  PRAGMA wal_autocheckpoint=4000; PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-4096`

/** Far more than are carried out and not answered at any time: with `-o sync` one for each program that waits. */
const keptRequests = 1024

const sqliteCorrupt = 11
const sqliteNotADatabase = 26

/** What is in the file is no journal any more: it is set aside with its spool, whose files are named beside it. */
export class JournalDamaged extends Error {
  override readonly name = 'JournalDamaged'

  constructor(file: string, cause: unknown) {
    super(
      `${file}: the journal is damaged; \`mount-session recover --export DIR\` takes out what the spool holds`,
      { cause },
    )
  }
}

export class Journal {
  readonly #database: DatabaseSync
  readonly #boot: string
  readonly #failpoint: Failpoint
  readonly #file: string
  readonly #inode: number
  readonly #walFd: number
  readonly #statements = new Map<string, StatementSync>()
  #depth = 0
  #carried = 0
  /** A write of the transaction that failed: whoever made it may not have minded. */
  #failure: unknown

  /**
   * `file`: the database, made when missing, upgraded in place when older. `boot`: identity of this boot of the
   * machine, which decides whether the page cache that held the spool is still the same.
   */
  constructor({
    file,
    boot,
    failpoint = noFailpoint,
  }: {
    readonly file: string
    readonly boot: string
    readonly failpoint?: Failpoint
  }) {
    this.#boot = boot
    this.#failpoint = failpoint
    keepPrivate(file)
    this.#database = new DatabaseSync(file)
    try {
      this.#database.exec(settings)
      const found = this.#database.prepare('PRAGMA quick_check(1)').get()?.['quick_check']
      if (found !== 'ok') throw new JournalDamaged(file, found)
      this.#upgrade()
    } catch (error) {
      this.#database.close()
      const { errcode } = error as { errcode?: unknown }
      throw errcode === sqliteCorrupt || errcode === sqliteNotADatabase
        ? new JournalDamaged(file, error)
        : error
    }
    this.#walFd = openSync(`${file}-wal`, 'r')
    this.#file = file
    this.#inode = statSync(file).ino
  }

  /** All changes made inside happen together or not at all. */
  transaction(changes: () => void): void {
    if (this.#depth > 0) {
      changes()
      return
    }
    this.#prepare('BEGIN IMMEDIATE').run()
    this.#depth++
    this.#failure = undefined
    try {
      changes()
      if (this.#failure !== undefined) throw this.#failure as Error
      this.#failpoint('journal.commit.before')
      this.#prepare('COMMIT').run()
    } catch (error) {
      // on a full disk it has rolled back by itself
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw error
    } finally {
      this.#depth--
    }
    this.#failpoint('journal.commit.after')
  }

  #isThere(): boolean {
    return statSync(this.#file, { throwIfNoEntry: false })?.ino === this.#inode
  }

  meta(key: string): string | undefined {
    return this.#prepare('SELECT value FROM meta WHERE key = ?').get(key)?.['value'] as string | undefined
  }

  setMeta(key: string, value: string): void {
    this.#write('meta', 'INSERT OR REPLACE INTO meta VALUES (?, ?)', key, value)
  }

  /** The path's row. `spooled`: of a file whose bytes are in the spool. */
  save(record: DurableState, spooled: Spooled | undefined, point: 'change' | 'confirm' = 'change'): void {
    // SQLite would go on writing to what nobody finds any more; what the service confirms is good all the same
    if (point === 'change' && !this.#isThere()) throw takenAway('journal')
    const { desired } = record
    const source = desired.is === 'file' && desired.from === 'remote' ? desired : undefined
    this.#write(
      point,
      'INSERT OR REPLACE INTO paths VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
      record.path,
      desired.is,
      spooled?.generation ?? null,
      source ? JSON.stringify({ path: source.path, listed: source.listed }) : null,
      spooled?.seal?.size ?? null,
      spooled?.seal?.crc32 ?? null,
      this.#boot,
      JSON.stringify(record.remote),
      JSON.stringify(record.heirs),
      record.since,
      record.doubtSince ?? null,
      record.scratch ? 1 : 0,
    )
  }

  /** The path is as the service has it, or as if it had never been. */
  forget(path: string): void {
    this.transaction(() => {
      this.#write('forget', 'DELETE FROM paths WHERE path = ?', path)
      this.clearAttempts(path)
    })
  }

  /** The spool holds exactly this for a generation that is closed. Nothing, if the row has moved on. */
  seal(path: string, generation: number, { size, crc32 }: Seal): void {
    const sql = 'UPDATE paths SET size = ?, crc32 = ?, boot = ? WHERE path = ? AND generation = ?'
    this.#write('seal', sql, size, crc32, this.#boot, path, generation)
  }

  /** A sealed generation is about to be written again. */
  unseal(path: string): void {
    const sql = 'UPDATE paths SET size = NULL, crc32 = NULL, boot = ? WHERE path = ?'
    this.#write('unseal', sql, this.#boot, path)
  }

  attempt(path: string, { generation, size, sha256 }: UploadAttempt): void {
    const sql = 'INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, ?)'
    this.#write('attempt', sql, path, generation, size, sha256)
  }

  clearAttempts(path: string): void {
    this.#write('clearAttempts', 'DELETE FROM attempts WHERE path = ?', path)
  }

  /** What this transaction changes was asked for by this request. */
  carriedOut(request: number): void {
    this.#carried = (this.#carried + 1) % keptRequests
    this.#write('carried', 'INSERT OR REPLACE INTO carried VALUES (?, ?)', this.#carried, request)
  }

  /** The requests of `carriedOut` that an earlier run, or this one, may not have answered. */
  carried(): Set<number> {
    const rows = this.#columns('SELECT slot, request FROM carried ORDER BY request')
    /* the oldest are overwritten first */
    this.#carried = Number(rows.at(-1)?.['slot'] ?? 0)
    return new Set(rows.map(({ request }) => Number(request)))
  }

  /** Requests of another mount are none of this one. */
  clearCarried(): void {
    this.#write('carried', 'DELETE FROM carried')
  }

  /** The rows that are whole; see `setDamagedAside`. */
  rows(): JournalRow[] {
    const attempts = new Map<string, UploadAttempt[]>()
    for (const columns of this.#columns('SELECT * FROM attempts')) {
      const read = readAttempt(columns)
      if (read === undefined) continue
      const list = attempts.get(read.path) ?? []
      list.push(read.attempt)
      attempts.set(read.path, list)
    }
    return this.#columns('SELECT * FROM paths ORDER BY path')
      .map((columns) => readRow(columns, attempts.get(String(columns['path'])) ?? []))
      .filter((row) => row !== undefined)
  }

  /** Takes rows that cannot be read out of the way, their bytes kept to be exported; answers what they were called. */
  setDamagedAside(at: number): string[] {
    const rows = this.#columns('SELECT * FROM paths').filter((columns) => readRow(columns, []) === undefined)
    const names: string[] = []
    this.transaction(() => {
      for (const columns of rows) {
        const generation = asGeneration(columns['generation'])
        const path = asPath(columns['path']) ?? nameOfDamaged(generation ?? 0)
        if (generation !== undefined) this.setAside({ generation, path, reason: damaged, at })
        this.#write('forget', 'DELETE FROM paths WHERE path IS ?', columns['path'] ?? null)
        names.push(path)
      }
    })
    return names
  }

  /** The highest number that any row speaks of: none of them may be given to other bytes. */
  newestGeneration(): number {
    const numbers = [0, ...this.listSetAside().map(({ generation }) => generation)]
    for (const { generation } of this.#columns('SELECT generation FROM paths'))
      numbers.push(asGeneration(generation) ?? 0)
    for (const { remote, attempts } of this.rows()) {
      const known = certain(remote)
      numbers.push(known.is === 'file' ? (known.generation ?? 0) : 0)
      for (const attempt of attempts) numbers.push(attempt.generation)
    }
    return numbers.reduce((highest, number) => Math.max(highest, number))
  }

  /** What is damaged of them is as if it had never been set. */
  attributes(): Map<string, LocalAttributes> {
    const found = new Map<string, LocalAttributes>()
    for (const columns of this.#columns('SELECT * FROM attributes')) {
      const path = asPath(columns['path'])
      if (path !== undefined) found.set(path, readAttributes(columns))
    }
    return found
  }

  saveAttributes(path: string, attributes: LocalAttributes | undefined): void {
    if (attributes === undefined) {
      this.#write('attributes', 'DELETE FROM attributes WHERE path = ?', path)
      return
    }
    this.#write(
      'attributes',
      'INSERT OR REPLACE INTO attributes VALUES (?, ?, ?, ?, ?, ?, ?)',
      path,
      attributes.mode ?? null,
      attributes.uid ?? null,
      attributes.gid ?? null,
      attributes.modifiedNs?.toString() ?? null,
      attributes.accessedNs?.toString() ?? null,
      attributes.changedNs?.toString() ?? null,
    )
  }

  setAside(entry: SetAside): void {
    const sql = 'INSERT OR REPLACE INTO set_aside VALUES (?, ?, ?, ?)'
    this.#write('setAside', sql, entry.generation, entry.path, entry.reason, entry.at)
  }

  listSetAside(): SetAside[] {
    return this.#columns('SELECT generation, path, reason, at FROM set_aside ORDER BY at, path')
      .map(readSetAside)
      .filter((entry) => entry !== undefined)
  }

  /** Calls back once everything committed so far survives a power cut, or cannot be made to; does not hold up the event loop. */
  whenDurable(callback: (error: Error | null) => void): void {
    fdatasync(this.#walFd, callback)
  }

  close(): void {
    closeSync(this.#walFd)
    this.#statements.clear()
    this.#database.close()
  }

  #upgrade(): void {
    const { user_version: version } = this.#database.prepare('PRAGMA user_version').get() as {
      user_version: number
    }
    if (version > upgrades.length) {
      throw new Error(
        `the journal was written by a newer version (schema ${version}, this one knows ${upgrades.length}): use that version, or export it with \`mount-session recover --export\` there`,
      )
    }
    for (const [index, upgrade] of upgrades.entries()) {
      if (index < version) continue
      this.#failpoint('journal.upgrade.before')
      this.#database.exec(`BEGIN; ${upgrade} PRAGMA user_version=${index + 1}; COMMIT`)
      this.#failpoint('journal.upgrade.after')
    }
    // the WAL file must be there before its descriptor is wanted
    this.setMeta('openedAt', String(Date.now()))
  }

  /** The one way in which a row changes. */
  #write(transition: Transition, sql: string, ...values: SQLInputValue[]): void {
    this.#failpoint(`journal.${transition}.before`)
    try {
      this.#prepare(sql).run(...values)
    } catch (error) {
      this.#failure = error
      throw error
    }
    this.#failpoint(`journal.${transition}.after`)
  }

  /** What was stored, whatever that is: integers as big ones, since SQLite's may be larger than a number holds. */
  #columns(sql: string): Columns[] {
    const statement = this.#prepare(sql)
    statement.setReadBigInts(true)
    return statement.all()
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (!statement) {
      statement = this.#database.prepare(sql)
      this.#statements.set(sql, statement)
    }
    return statement
  }
}
