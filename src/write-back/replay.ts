/**
 * Takes up what an earlier run left in the journal. Layer: write-back.
 *
 * Invariant: a row is taken up only when the spool is proven to hold what it speaks of: in the same boot the
 * page cache kept every write; after another one length and checksum must agree. Everything else is set
 * aside, never uploaded, and stays until `mount-session recover` exports or discards it.
 */
import { damaged, type JournalRow } from './disk/journal-rows.ts'
import type { Parts } from './parts.ts'
import { fulfilled, type Desired, type Remote } from './record.ts'
import { parentOf } from '../remote-path.ts'
import { SpooledCopy } from './disk/spooled-copy.ts'

/** Fills the ledger. Answers the generations that it speaks of; `sweep` is to follow. */
export async function replay(boot: string, parts: Parts): Promise<Set<number>> {
  const { journal, ledger, logger, failpoint } = parts
  failpoint('recovery.before')
  for (const path of journal.setDamagedAside(parts.clock.wallMs()))
    logger.error(
      { path },
      `set aside, not uploaded: ${damaged}; \`mount-session recover --export DIR\` takes it out`,
    )
  const rows = journal.rows()
  const wanted = new Set(journal.listSetAside().map((entry) => entry.generation))
  const lost: string[] = []
  const sent = new Set(rows.flatMap(({ attempts }) => attempts.map(({ generation }) => generation)))
  for (const row of rows) {
    if (row.generation !== undefined) wanted.add(row.generation)
    const desired = await desiredOf(row, boot, parts)
    if (typeof desired === 'string') {
      setAside(row, desired, parts)
      lost.push(row.path)
      continue
    }
    const record = ledger.of(row.path, remoteOf(row), row.staysHere)
    ledger.records.apply(record, {
      desired,
      heirs: row.heirs,
      since: row.since,
      doubtSince: doubtSince(row, parts),
      journalled: true,
      recovered: true,
      version: 1,
    })
    if (desired.is === 'file' && desired.from === 'spool') {
      desired.copy.attach(record)
      // the bytes of an attempt stay as they were sent, also under another name
      if (sent.has(desired.copy.generation)) desired.copy.freeze()
    }
    ledger.adoptAttempts(record, row.attempts)
  }
  for (const record of ledger.records.values()) if (record.attempts.length > 0) markAbove(record.path, parts)
  keepOldNames(lost, parts)
  const paths = [...ledger.records.values()].length
  if (paths > 0) logger.info({ paths }, 'an earlier run left changes: they are shown and go on')
  failpoint('recovery.after')
  return wanted
}

/** Puts away what nobody has use for of what an earlier run left in the spool. */
export function sweep(wanted: ReadonlySet<number>, parts: Parts): void {
  const { spool, generations, ledger } = parts
  const hasNewer = (path: string, generation: number): boolean => {
    const { desired } = ledger.records.get(path) ?? {}
    return desired?.is === 'file' && desired.from === 'spool' && desired.copy.generation > generation
  }
  // what only an attempt still speaks of goes with it
  for (const generation of spool.generations()) {
    if (wanted.has(generation)) continue
    const path = spool.nameOf(generation)
    const isOver = path === undefined || spool.size(generation) === 0 || hasNewer(path, generation)
    if (isOver) generations.discard(generation)
    else setAside({ path, generation }, 'the journal that knew of it is lost', parts)
  }
}

/** An upload that was under way may have made the directories above it. */
function markAbove(path: string, { ledger }: Parts): void {
  for (let above = parentOf(path); above !== ''; above = parentOf(above)) {
    const record = ledger.records.get(above)
    if (record?.remote.is !== 'absent') continue
    ledger.records.apply(record, { remote: { is: 'uncertain', before: record.remote, as: 'directory' } })
  }
}

/** What was renamed to a name that is set aside is still on the service under its old one, and stays there. */
function keepOldNames(lost: readonly string[], { ledger, logger }: Parts): void {
  for (const path of lost) {
    for (const old of [...ledger.records.waitingForHeir(path)]) {
      if (old.desired.is !== 'absent') continue
      logger.warn({ path: old.path, heirs: old.heirs }, 'the old name stays: what it became was set aside')
      ledger.forget(old)
    }
  }
}

/**
 * The wall clock may have been set meanwhile: a doubt from the future begins now. A call that was under way when
 * the earlier run ended may take effect yet.
 */
function doubtSince(row: JournalRow, { clock }: Parts): number | undefined {
  if (row.doubtSince !== undefined) return clock.now() - Math.max(0, clock.wallMs() - row.doubtSince)
  return remoteOf(row).is === 'uncertain' ? clock.now() : undefined
}

function remoteOf(row: JournalRow): Remote {
  return row.attempts.length > 0 && row.remote.is !== 'uncertain'
    ? { is: 'uncertain', before: row.remote, as: 'file' }
    : row.remote
}

/** The desired state a row speaks of, or why it cannot be trusted. */
async function desiredOf(row: JournalRow, boot: string, parts: Parts): Promise<Desired | string> {
  const { spool, owner } = parts
  if (row.desired !== 'file') return { is: row.desired }
  if (row.source) return { is: 'file', from: 'remote', ...row.source }
  const { generation } = row
  if (generation === undefined) return fulfilled(row.remote)
  if (!spool.has(generation)) return 'its bytes are missing from the spool'
  if (row.boot !== boot && !row.seal) return 'the machine went down while it was being written'
  const sent = row.attempts.find((attempt) => attempt.generation === generation)
  if (row.seal || sent) {
    const digest = await spool.digest(generation)
    const isSealed = !row.seal || (digest.size === row.seal.size && digest.crc32 === row.seal.crc32)
    if (!isSealed || (sent && digest.sha256 !== sent.sha256)) {
      return row.boot === boot
        ? 'its bytes in the spool are not those that were written'
        : 'the machine went down before its bytes were safely on the disk'
    }
  }
  const size = spool.size(generation)
  const remote = remoteOf(row)
  const dirty = !(remote.is === 'file' && remote.generation === generation)
  const copy = new SpooledCopy(spool, owner, { generation, size, dirty })
  // so that the next write takes it back: the row speaks of the bytes as they are, and of the boot they are from
  copy.sealed(row.seal)
  return { is: 'file', from: 'spool', copy }
}

function setAside(
  row: Pick<JournalRow, 'path' | 'generation'>,
  reason: string,
  { journal, clock, logger }: Parts,
): void {
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
