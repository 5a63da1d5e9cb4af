/**
 * A session's journal belongs to that session, not to another that was made under its name; one that is damaged
 * belongs to nobody. Layer: session.
 *
 * Invariant: a journal is taken up only by the session it was written for: one that was made again under the
 * same name gets a new one, and the old is set aside.
 */
import { existsSync, mkdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import { noFailpoint, type Failpoint } from '../write-back/disk/failpoints.ts'
import { Journal, JournalDamaged } from '../write-back/disk/journal.ts'
import { namesIn } from '../write-back/disk/spool.ts'

/** The journal that a session's changes are in: one that has its name, but was made at another time, gets a new one. */
export function openJournal(
  directory: string,
  createdAtMs: number,
  {
    boot,
    clock,
    logger,
    failpoint = noFailpoint,
  }: { boot: string; clock: Clock; logger: Logger; failpoint: Failpoint | undefined },
): Journal {
  const created = String(createdAtMs)
  const file = join(directory, 'journal.db')
  const setAside = (message: string): void => {
    const aside = `${directory}.set-aside-${new Date(clock.wallMs()).toISOString().replace(/[-:]|\..*/g, '')}`
    const left = [...namesIn(directory).values()]
    renameSync(directory, aside)
    logger.error({ directory: aside, left }, message)
  }
  const journal = existsSync(file) ? openUndamaged(file, boot, failpoint) : undefined
  if (journal === 'damaged') {
    setAside(
      'the journal is damaged: it is set aside, `mount-session recover --export DIR` takes out what is left',
    )
  } else if (journal) {
    const known = journal.meta('sessionCreatedAt')
    if (known === created) return journal
    journal.close()
    if (known !== undefined)
      setAside('the session was made again under the same name: its old changes are set aside')
  }
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const made = new Journal({ file, boot, failpoint })
  made.setMeta('sessionCreatedAt', created)
  return made
}

function openUndamaged(file: string, boot: string, failpoint: Failpoint): Journal | 'damaged' {
  try {
    return new Journal({ file, boot, failpoint })
  } catch (error) {
    if (error instanceof JournalDamaged) return 'damaged'
    throw error
  }
}
