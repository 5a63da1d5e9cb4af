/**
 * Which processes keep a mount busy. Layer: cli.
 *
 * Invariant: reads /proc only, never the mounted filesystem and no memory of others, so it answers while they hang
 * on that; what may wait for a process all the same is left to a program that can be killed. Of other users' processes
 * it sees what the caller may.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { basename } from 'node:path'

/* what Node calls its main thread, whatever it runs */
const nameOfNodes = 'MainThread'

export interface Occupant {
  readonly pid: number
  readonly command: string
  /** What it has there: a path, or `working directory`. */
  readonly reason: string
}

/* reading what all processes have mapped takes milliseconds */
const mapsLimitMs = 2_000

/** The processes with a working directory, an open file or a mapped file at or below `directory`. */
export function occupants(directory: string): readonly Occupant[] {
  const inside = (path: string): boolean => path === directory || path.startsWith(`${directory}/`)
  const pids = readNames('/proc').filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
  const reasons = new Map<string, string>()
  for (const pid of pids) {
    const reason = whyBusy(`/proc/${pid}`, inside)
    if (reason !== undefined) reasons.set(pid, reason)
  }
  const others = pids.filter((pid) => !reasons.has(pid))
  for (const group of [others.filter((pid) => !isWaiting(pid)), others.filter(isWaiting)])
    for (const [pid, path] of mappedFiles(group, directory)) if (inside(path)) reasons.set(pid, path)
  return pids.flatMap((pid) => {
    const reason = reasons.get(pid)
    return reason === undefined ? [] : [{ pid: Number(pid), command: commandOf(`/proc/${pid}`), reason }]
  })
}

function whyBusy(folder: string, inside: (path: string) => boolean): string | undefined {
  if (inside(readLink(`${folder}/cwd`)) || inside(readLink(`${folder}/root`))) {
    return 'working directory'
  }
  const links = readNames(`${folder}/fd`).map((name) => `${folder}/fd/${name}`)
  return [`${folder}/exe`, ...links].map(readLink).find(inside)
}

/**
 * Whether a thread of it waits for a disk, or for a mount that hangs: then it may hold the lock of its memory, for
 * which whoever reads `maps` waits.
 */
function isWaiting(pid: string): boolean {
  const threads = readNames(`/proc/${pid}/task`)
  return threads.some((thread) => readText(`/proc/${pid}/task/${thread}/stat`).includes(') D '))
}

/** Mapped files by process, those whose path has `part` in it; none where one keeps its maps to itself for too long. */
function mappedFiles(pids: readonly string[], part: string): readonly (readonly [string, string])[] {
  if (pids.length === 0) return []
  const maps = pids.map((pid) => `/proc/${pid}/maps`)
  const reader = spawnSync('grep', ['-HsF', '-e', part, ...maps], {
    cwd: '/',
    env: { ...process.env, LC_ALL: 'C' },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: mapsLimitMs,
    killSignal: 'SIGKILL',
  })
  if (reader.pid === 0) return [] // there is no such program
  /* /proc/PID/maps:ADDRESSES MODE OFFSET DEVICE INODE PATH */
  return reader.stdout.split('\n').flatMap((line) => {
    const [, pid, path] = /^\/proc\/(\d+)\/maps:[^/]*(\/.*)$/.exec(line) ?? []
    return pid === undefined || path === undefined ? [] : [[pid, path] as const]
  })
}

/* not `cmdline`: that lies in the memory of the process, which may be waiting for this mount */
function commandOf(folder: string): string {
  const name = readText(`${folder}/comm`).trim()
  return name === nameOfNodes ? basename(readLink(`${folder}/exe`)) : name
}

function readLink(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

function readNames(path: string): readonly string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
