/**
 * A session of an emulator, mounted by the real command line as a real daemon, and programs run on it.
 * Layer: test.
 *
 * Invariant: files of the mount are touched by child processes only, each with a limit; whatever a test leaves
 * (mount, daemon, programs, directories) is gone when it ends, also by a timeout, and nothing else is touched.
 */

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { EmulatorOptions } from '../../src/emulator/emulator.ts'
import type { StatusReport } from '../../src/control/protocol.ts'
import { startTestEmulator, type TestEmulator } from '../emulator-server.ts'
import { type Ended, eventually, killGroup, type ProgramOptions, type Running, start } from './programs.ts'
import { compileCache } from '../compile-cache.ts'

export const main = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts')

export type Teardown = Pick<Test, 'teardown'>
export type Environment = Readonly<Record<string, string | undefined>>

export interface Workplace {
  /** Below the system's temporary directory, removed at the end. */
  readonly root: string
  /** A home of its own, so that nothing of this user's is read or written. */
  readonly env: Environment
  /** Runs a program that is killed with the test, if it has not ended. */
  start(command: string, args: readonly string[], options?: ProgramOptions): Running
  /** Runs `mount-session ARGS`. */
  readonly command: (args: readonly string[], options?: ProgramOptions) => Promise<Ended>
  startCommand(args: readonly string[], options?: ProgramOptions): Running
  /** A new empty directory that is detached at the end, should anything be mounted on it. */
  readonly mountPoint: (name?: string) => string
  /** To be killed at the end: a daemon. */
  owns(pid: number): void
}

export function workplace(t: Teardown): Workplace {
  const root = fs.mkdtempSync(join(tmpdir(), 'mount-session-test-'))
  const running = new Set<Running>()
  const mountPoints: string[] = []
  const pids = new Set<number>()
  const env: Environment = {
    PATH: process.env['PATH'],
    ...compileCache,
    HOME: join(root, 'home'),
    XDG_STATE_HOME: join(root, 'state'),
    XDG_CACHE_HOME: join(root, 'cache'),
    LC_ALL: 'C.UTF-8',
    TERM: 'xterm',
  }
  fs.mkdirSync(join(root, 'home'))
  const endAtOnce = (): void => {
    for (const { child } of running) killGroup(child)
    for (const directory of mountPoints) if (isMounted(directory)) spawnSync('umount', lazily(directory))
    for (const pid of pids) if (isOwnDaemon(pid)) process.kill(pid, 'SIGKILL')
  }
  const onSignal = (): never => process.exit(1)
  process.once('exit', endAtOnce)
  process.once('SIGTERM', onSignal)
  t.teardown(async () => {
    for (const { child } of running) killGroup(child)
    for (const directory of mountPoints) await detach(directory)
    for (const pid of pids) await end(pid)
    await Promise.all([...running].map(({ ended }) => ended))
    fs.rmSync(root, { recursive: true, force: true, maxRetries: 3 })
    process.off('exit', endAtOnce)
    process.off('SIGTERM', onSignal)
  })
  const startOwn: Workplace['start'] = (command, args, options = {}) => {
    const program = start(command, args, { env, ...options })
    running.add(program)
    void program.ended.finally(() => running.delete(program))
    return program
  }
  const startCommand: Workplace['startCommand'] = (args, options) =>
    startOwn(process.execPath, [main, ...args], options)
  return {
    root,
    env,
    start: startOwn,
    startCommand,
    command: (args, options) => startCommand(args, options).ended,
    mountPoint: (name = 'mnt') => {
      const directory = join(root, name)
      fs.mkdirSync(directory)
      mountPoints.push(directory)
      return directory
    },
    owns: (pid) => void pids.add(pid),
  }
}

export interface MountOptions {
  readonly emulator?: Partial<EmulatorOptions> | undefined
  /** Takes the place of an emulator of its own. */
  readonly service?: { readonly endpoint: string; readonly token: string } | undefined
  /** Of `mount-session`, before AGENT/SESSION. */
  readonly args?: readonly string[] | undefined
  /** Whether a daemon that is killed is started again. Default: it is not. */
  readonly restart?: boolean | undefined
  readonly env?: Environment | undefined
  /** How many descriptors the daemon may have, for good; default as many as the test. */
  readonly descriptors?: number | undefined
  /** Whether all sessions of the agent are mounted; default as `TEST_MOUNT` says. */
  readonly whole?: boolean | undefined
}

export interface Mounted extends Workplace {
  /** Where the session's files are. */
  readonly directory: string
  /** The same, unless all sessions of the agent are mounted. */
  readonly mountedAt: string
  readonly pid: number
  /** Runs a shell script in the mount, which stops at its first failure. */
  readonly sh: (script: string, options?: ProgramOptions) => Promise<Ended>
  readonly startSh: (script: string, options?: ProgramOptions) => Running
  /** As `sh`, and rejects unless it exits with 0; its output. */
  readonly ok: (script: string, options?: ProgramOptions) => Promise<string>
  /** `mount-session sync DIR`; rejects unless it exits with 0. */
  readonly sync: () => Promise<void>
  readonly status: () => Promise<StatusReport>
  /** The same command again, after the daemon was killed; the pid of the new one. */
  readonly mountAgain: () => Promise<number>
  /** Ends the kernel's connection: all that waits in it fails. */
  readonly abort: () => void
  /** The lines of the daemon's log at this level. */
  readonly logged: (level: string) => readonly string[]
}

export interface MountedEmulator extends Mounted {
  readonly emulator: TestEmulator
}

export const serviceLatencyMs = 40

/** With `TEST_MOUNT=agent` all sessions of the agent are mounted, and the files are those of one of them. */
export const isAgentMounted = process.env['TEST_MOUNT'] === 'agent'

/** An emulator in this process, 40 ms away, and its session mounted. */
export async function mountEmulator(t: Teardown, options: MountOptions = {}): Promise<MountedEmulator> {
  const emulator = await startTestEmulator(t, { latencyMs: serviceLatencyMs, ...options.emulator })
  return { ...(await mount(t, emulator, options)), emulator }
}

export async function mount(
  t: Teardown,
  { endpoint, token, target }: { readonly endpoint: string; readonly token: string; readonly target: string },
  { args = [], restart = false, env: more = {}, descriptors, whole = isAgentMounted }: MountOptions = {},
): Promise<Mounted> {
  const work = workplace(t)
  const mountedAt = work.mountPoint()
  const [agent = '', session = ''] = target.split('/')
  const directory = whole ? join(mountedAt, session) : mountedAt
  const address = whole ? `${agent}/` : target
  const log = join(work.root, 'daemon.log')
  const env = { ...work.env, FOUNDRY_PROJECT_ENDPOINT: endpoint, MOUNT_SESSION_TOKEN: token, ...more }
  const command: Mounted['command'] = (given, rest) => work.command(given, { env, ...rest })
  const status = async (): Promise<StatusReport> => {
    const asked = await command(['status', '--json', mountedAt])
    if (asked.code !== 0) throw new Error(`no status: ${describe(asked)}`)
    return JSON.parse(asked.stdout) as StatusReport
  }
  const start = async (): Promise<number> => {
    const kept = restart ? [] : ['--restart', 'off']
    const given = [main, '--log-file', log, ...kept, ...args, address, mountedAt]
    const mounting = await (
      descriptors === undefined
        ? work.start(process.execPath, given, { env })
        : work.start('prlimit', [`--nofile=${descriptors}`, process.execPath, ...given], { env })
    ).ended
    if (mounting.code !== 0) throw new Error(`not mounted: ${describe(mounting)}`)
    const { pid } = await status()
    work.owns(pid)
    return pid
  }
  const pid = await start()
  const startSh: Mounted['startSh'] = (script, rest) =>
    work.start('bash', ['-c', `set -euo pipefail\ncd "$1"\n${script}`, 'bash', directory], {
      env,
      onLimit: () => abort(mountedAt),
      ...rest,
    })
  const ok: Mounted['ok'] = async (script, rest) => {
    const ended = await startSh(script, rest).ended
    if (ended.code !== 0) throw new Error(`${script}\n${describe(ended)}`)
    return ended.stdout
  }
  return {
    ...work,
    env,
    command,
    startCommand: (given, rest) => work.startCommand(given, { env, ...rest }),
    directory,
    mountedAt,
    pid,
    startSh,
    sh: (script, rest) => startSh(script, rest).ended,
    ok,
    sync: async () => {
      const ended = await command(['sync', directory])
      if (ended.code !== 0) throw new Error(`sync: ${describe(ended)}`)
    },
    status,
    mountAgain: start,
    abort: () => abort(mountedAt),
    logged: (level) =>
      fs
        .readFileSync(log, 'utf8')
        .split('\n')
        .filter((line) => line.includes(`"level":"${level}"`)),
  }
}

export function describe({ code, signal, stdout, stderr }: Ended): string {
  return `exit ${code ?? signal ?? 'unknown'}\n${stdout}\n${stderr}`
}

/** Paths below a directory of the local disk: what a file holds (long ones by size and hash), null for a directory. */
export function treeOf(directory: string): Record<string, string | null> {
  const tree: Record<string, string | null> = {}
  for (const entry of fs.readdirSync(directory, { recursive: true, withFileTypes: true })) {
    const location = join(entry.parentPath, entry.name)
    const path = location.slice(directory.length + 1)
    if (entry.isDirectory()) {
      tree[path] = null
      continue
    }
    const bytes = fs.readFileSync(location)
    const text = bytes.toString('latin1')
    tree[path] =
      bytes.length <= 200 ? text : `${bytes.length} ${createHash('sha256').update(bytes).digest('hex')}`
  }
  return Object.fromEntries(Object.entries(tree).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

/** Whether something is mounted there, by the kernel's table. */
export function isMounted(directory: string): boolean {
  return mountLine(directory) !== undefined
}

/** Its line in /proc/self/mountinfo, in words. */
export function mountLine(directory: string): readonly string[] | undefined {
  return fs
    .readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .find((fields) => fields[4] === directory)
}

/** Ends the connection of a FUSE mount: all that waits in it fails. */
function abort(directory: string): void {
  const device = mountLine(directory)?.[2]
  if (device === undefined) return
  const file = `/sys/fs/fuse/connections/${device.split(':')[1] ?? ''}/abort`
  if (fs.existsSync(file)) fs.writeFileSync(file, '1')
  else void start('umount', ['-f', '-c', directory]).ended
}

/* looks at nothing in the mount */
const lazily = (directory: string): readonly string[] => ['-l', '-i', '-c', directory]

async function detach(directory: string): Promise<void> {
  while (isMounted(directory)) {
    const { code } = await start('umount', lazily(directory)).ended
    if (code !== 0) break
  }
}

export function isRunning(pid: number): boolean {
  try {
    return !fs.readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
  } catch {
    return false
  }
}

/** Numbers are given out again. */
function isOwnDaemon(pid: number): boolean {
  return isRunning(pid) && fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(main)
}

async function end(pid: number): Promise<void> {
  if (!isOwnDaemon(pid)) return
  process.kill(pid, 'SIGKILL')
  await eventually(() => !isRunning(pid), 5000)
}
