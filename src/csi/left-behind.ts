/**
 * What a volume that has ended leaves: changes that the service does not have, and files. Layer: csi.
 *
 * Invariant: whatever a daemon wrote is read and removed by a process of the daemon's user, which the driver asks;
 * links and pipes in there lead that one nowhere. Nothing is removed that has a mount in it.
 */
import { spawn } from 'node:child_process'
import { readdirSync, realpathSync, rmdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import * as v from 'valibot'
import { mountsBelow } from '../fuse/mount-table.ts'
import type { Logger } from '../log.ts'
import type { DataDirectories } from '../options/mount-options.ts'
import { sessionDirectories } from '../session/directories.ts'
import { keptPaths } from '../session/recover.ts'
import { hasLocalFiles } from '../session/waiting-paths.ts'
import { type DaemonUser, daemonSocket, readDescription, type VolumeFiles } from './volume-files.ts'

/** How the driver starts the process that is asked: the program of the daemons, and whom it runs as. */
export interface Asking {
  readonly program: readonly string[]
  readonly user: DaemonUser
}

const answerWithinMs = 60_000
const longestAnswer = 1_000_000
/* of a million paths nobody reads more */
const toldPaths = 1000
const answer = v.object({ left: v.array(v.string()) })

/** The argument by which the daemon's program is asked. */
export const askForLeft = 'left'

/**
 * Removes the files of a volume that is over, and the daemon's where no change is left in them. Resolves with those
 * changes; undefined: that cannot be told. What goes wrong is logged.
 */
export async function tidyUp(
  files: VolumeFiles,
  { logger, ...asking }: Asking & { readonly logger: Logger },
): Promise<readonly string[] | undefined> {
  const { key } = files
  let left: readonly string[] | undefined
  try {
    left = await leftBehind(files, asking)
  } catch (error) {
    logger.warn({ key, err: error }, 'what is left cannot be looked at')
  }
  try {
    removeFiles(files)
  } catch (error) {
    logger.warn({ key, err: error }, 'files of a volume stay')
  }
  return left
}

/** The changes that are left, those set aside included; without any, and any file that stays here, all is removed. Rejects when that cannot be told. */
async function leftBehind(files: VolumeFiles, { program, user }: Asking): Promise<readonly string[]> {
  const [command = '', ...args] = program
  const child = spawn(command, [...args, files.run, askForLeft], {
    cwd: '/',
    stdio: ['ignore', 'pipe', 'inherit'],
    ...user,
    timeout: answerWithinMs,
    killSignal: 'SIGKILL',
  })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
    if (said.length > longestAnswer) child.kill('SIGKILL')
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  if (code !== 0) throw new Error(`${files.state}: what is left there could not be looked at`)
  return v.parse(answer, JSON.parse(said)).left
}

/** In the process that is asked: says what is left of the volume of `run`. */
export async function tellWhatIsLeft(run: string): Promise<void> {
  const { options } = readDescription(run)
  const left = await keptPaths(options, options)
  const isNothing = left.length === 0 && !hasLocalFiles(sessionDirectories(options, options).state)
  if (isNothing) emptyState(options)
  process.stdout.write(JSON.stringify({ left: left.slice(0, toldPaths) }))
}

function emptyState({ stateRoot }: DataDirectories): void {
  const directory = dirname(stateRoot)
  refuseMounts(directory)
  for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true, force: true })
}

/** What the driver itself made; the state's directory stays while there is something in it. */
export function removeFiles({ run, ofDaemon, state, mountPoint }: VolumeFiles): void {
  refuseMounts(run)
  for (const directory of [mountPoint, state]) rmdirWhereEmpty(directory)
  rmSync(join(run, daemonSocket), { force: true })
  rmdirWhereEmpty(ofDaemon)
  for (const entry of namesIn(run))
    if (join(run, entry) !== ofDaemon) rmSync(join(run, entry), { recursive: true, force: true })
  rmdirWhereEmpty(run)
}

function refuseMounts(directory: string): void {
  let place
  try {
    place = realpathSync(directory)
  } catch {
    return
  }
  const [mount] = mountsBelow(place)
  if (mount !== undefined)
    throw new Error(`${mount.directory}: something is mounted there, so nothing is removed: unmount it`)
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch {
    /* it has gone already */
    return []
  }
}

function rmdirWhereEmpty(directory: string): void {
  try {
    rmdirSync(directory)
  } catch {
    /* it has gone already, or somebody has use for what is there */
  }
}
