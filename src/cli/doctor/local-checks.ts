/**
 * Looks at what is kept on this machine: directories, mounts, changes that wait. Layer: cli.
 *
 * Invariant: touches no mounted directory, and leaves no file behind.
 */
import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { listMounts, type MountRecord } from '../../control/registry.ts'
import { mountWith } from '../../fuse/mount-table.ts'
import { sessionDirectories } from '../../session/directories.ts'
import { knownSessions } from '../../session/known-addresses.ts'
import { isSessionHeld } from '../../session/session-lock.ts'
import { waitingPaths } from '../../session/waiting-paths.ts'
import type { DataDirectories } from '../../options/mount-options.ts'
import { showAddress } from '../../options/show-address.ts'
import { showBytes, showCount } from '../amounts.ts'
import { whyNotOwn } from '../../session/own-directory.ts'
import { codeOf, failure, ok, type Verdict, warning } from './finding.ts'

/* of statfs(2): NFS, CIFS, SMB2, 9p, FUSE, Ceph, AFS */
const networkTypes: ReadonlySet<number> = new Set([
  ...[0x6969, 0xff534d42, 0xfe534d42, 0x01021997, 0x65735546, 0x00c36400, 0x5346414f],
])
const littleBytes = 512 * 1024 * 1024

export interface DirectoryFacts {
  readonly directory: string
  /** Why it cannot be used; undefined: it can. */
  readonly why: string | undefined
  readonly freeBytes: number
  readonly isNetwork: boolean
  /** What moves it elsewhere. */
  readonly variable: string
  /** Whether SQLite locks files in it. */
  readonly hasJournal: boolean
}

export function directoryVerdict(facts: DirectoryFacts): Verdict {
  const { directory, why, freeBytes, isNetwork, variable, hasJournal } = facts
  if (why !== undefined)
    return failure(`${directory} ${why}`, `set ${variable} to a directory of your own that can be written to`)
  const values = { freeBytes }
  if (isNetwork && hasJournal)
    return warning(
      `${directory} is on a network filesystem, on which the journal's locks and syncs may not hold`,
      `set ${variable} to a directory on a local disk`,
      values,
    )
  if (freeBytes < littleBytes)
    return warning(
      `${directory} has ${showBytes(freeBytes)} left: writes fail when that is used up`,
      `free some, or set ${variable} to a directory on another disk`,
      values,
    )
  return ok(`${directory}, ${showBytes(freeBytes)} free`, values)
}

export async function checkDirectory(
  directory: string,
  { variable, hasJournal }: Pick<DirectoryFacts, 'variable' | 'hasJournal'>,
): Promise<Verdict> {
  /* it is made when it is needed: what matters until then is the nearest that is there */
  let there = directory
  while (!existsSync(there) && dirname(there) !== there) there = dirname(there)
  const facts = { directory, variable, hasJournal }
  try {
    accessSync(there, constants.W_OK | constants.X_OK)
    const { type, bavail, bsize } = await statfs(there)
    const why = there === directory ? whyNotOwn(statSync(there)) : undefined
    return directoryVerdict({ ...facts, why, freeBytes: bavail * bsize, isNetwork: networkTypes.has(type) })
  } catch (error) {
    const why = `cannot be written to (${codeOf(error)})`
    return directoryVerdict({ ...facts, why, freeBytes: 0, isNetwork: false })
  }
}

export function checkMounts({ stateRoot }: DataDirectories): Promise<Verdict> {
  const records = listMounts(stateRoot)
  const dead = records.filter((record) => !isSessionHeld(record.stateDirectory))
  if (dead.length === 0)
    return Promise.resolve(
      ok(
        records.length === 0
          ? 'nothing is mounted'
          : `${showCount(records.length, 'mount')}, each with its daemon`,
      ),
    )
  const names = dead.map((record) => placeOf(record)).join(', ')
  return Promise.resolve(
    warning(
      `the daemon has ended of ${names}`,
      '`mount-session unmount DIR` takes such a mount away; mounting the session again goes on with it',
    ),
  )
}

function placeOf(record: MountRecord): string {
  return (record.mount && mountWith(record.mount)?.directory) ?? record.directory
}

export function checkJournals(roots: DataDirectories): Promise<Verdict> {
  const waiting = knownSessions(roots.stateRoot).flatMap((address) => {
    const { state } = sessionDirectories(address, roots)
    if (isSessionHeld(state)) return []
    const count = waitingPaths(state).length
    return count === 0 ? [] : [`${showAddress(address)} (${showCount(count, 'path')})`]
  })
  if (waiting.length === 0) return Promise.resolve(ok('nothing waits that no mount is at work on'))
  return Promise.resolve(
    warning(
      `changes wait that nobody uploads: ${waiting.join(', ')}`,
      '`mount-session recover` uploads them, and so does mounting the session',
    ),
  )
}
