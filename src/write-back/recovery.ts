/**
 * Takes up what an earlier run left in the journal. Layer: write-back.
 *
 * Invariant: a row is taken up only when the spool is proven to hold what it speaks of: in the same boot the
 * page cache kept every write; after another one length and checksum must agree. Everything else is set
 * aside, never uploaded, and stays until `mount-session recover` exports or discards it.
 */
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { Failpoint } from './failpoints.ts'
import type { Journal, JournalRow } from './journal.ts'
import type { Ledger } from './ledger.ts'
import { fulfilled, type Desired, type PathRecord, type Remote } from './record.ts'
import type { Spool } from './spool.ts'
import { SpooledCopy, type CopyOwner } from './spooled-copy.ts'

export interface RecoveryOptions {
  readonly journal: Journal
  readonly ledger: Ledger
  readonly spool: Spool
  readonly owner: CopyOwner
  readonly boot: string
  readonly clock: Clock
  readonly logger: Logger
  readonly failpoint: Failpoint
}

/** Fills the ledger; answers the records that have work to do or are in doubt. */
export async function recover(options: RecoveryOptions): Promise<PathRecord[]> {
  const { journal, ledger, spool, logger, failpoint } = options
  failpoint('recovery.before')
  const rows = journal.rows()
  const wanted = new Set(journal.listSetAside().map((entry) => entry.generation))
  const records: PathRecord[] = []
  for (const row of rows) {
    if (row.generation !== undefined) wanted.add(row.generation)
    const desired = await desiredOf(row, options)
    if (typeof desired === 'string') {
      setAside(row, desired, options)
      continue
    }
    const record = ledger.of(row.path, remoteOf(row))
    ledger.records.apply(record, { desired, remote: remoteOf(row), heirs: row.heirs })
    Object.assign(record, {
      since: row.since,
      doubtSince: row.doubtSince ?? (row.attempts.length > 0 ? options.clock.wallMs() : undefined),
      attempts: row.attempts,
      journalled: true,
      recovered: true,
      version: 1,
      parked: undefined,
    })
    if (desired.is === 'file' && desired.from === 'spool') desired.copy.record = record
    records.push(record)
  }
  for (const generation of spool.generations()) if (!wanted.has(generation)) spool.unlink(generation)
  if (records.length > 0)
    logger.info({ paths: records.length }, 'an earlier run left changes: they are shown and go on')
  failpoint('recovery.after')
  return records
}

function remoteOf(row: JournalRow): Remote {
  return row.attempts.length > 0 && row.remote.is !== 'uncertain'
    ? { is: 'uncertain', before: row.remote }
    : row.remote
}

/** The desired state a row speaks of, or why it cannot be trusted. */
async function desiredOf(row: JournalRow, options: RecoveryOptions): Promise<Desired | string> {
  const { spool, owner, boot } = options
  if (row.desired !== 'file') return { is: row.desired }
  if (row.source) return { is: 'file', from: 'remote', ...row.source }
  const { generation } = row
  if (generation === undefined) return fulfilled(row.remote)
  if (!spool.has(generation)) return 'its bytes are missing from the spool'
  if (row.boot !== boot) {
    if (!row.sealed) return 'the machine went down while it was being written'
    const digest = await spool.digest(generation)
    if (digest.size !== row.sealed.size || digest.crc32 !== row.sealed.crc32) {
      return 'the machine went down before its bytes were safely on the disk'
    }
  }
  const size = spool.size(generation)
  const dirty = !(row.remote.is === 'file' && row.remote.generation === generation)
  return { is: 'file', from: 'spool', copy: new SpooledCopy(spool, owner, { generation, size, dirty }) }
}

function setAside(row: JournalRow, reason: string, { journal, clock, logger }: RecoveryOptions): void {
  journal.transaction(() => {
    if (row.generation !== undefined) {
      journal.setAside({ generation: row.generation, path: row.path, reason, at: clock.wallMs() })
    }
    journal.forget(row.path)
  })
  logger.error(
    { path: row.path },
    `set aside, not uploaded: ${reason}; \`mount-session recover --export DIR\` takes it out`,
  )
}
