/**
 * The processes of a benchmark: started in the background, measured, ended. Layer: benchmark.
 *
 * Invariant: each leads a process group that is written down at once in `$BENCH_DIRECTORY/processes`, so
 * that `run` can end it whatever becomes of us.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { appendFileSync, createWriteStream, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

export interface BackgroundOptions {
  /** Where its output goes, as `NAME.log`. */
  readonly directory: string
  readonly name: string
  readonly command: readonly [string, ...string[]]
  readonly env?: Readonly<Record<string, string>> | undefined
  /** Whether it talks to us over Node's own channel. */
  readonly channel?: boolean | undefined
}

const register = join(process.env['BENCH_DIRECTORY'] ?? '.', 'processes')

/** What a process, its group and its descendants hold now: shared pages whole, and by their share; and at most. */
export interface Memory {
  readonly residentBytes: number
  readonly proportionalBytes: number
  readonly peakBytes: number
}

/** What a process, its group and its descendants have used so far. */
export interface Usage {
  readonly cpuSeconds: number
  readonly peakBytes: number
}

export class Background {
  readonly child: ChildProcess
  readonly #name: string
  readonly #log: string
  readonly #exited: Promise<void>

  constructor({ directory, name, command: [file, ...args], env, channel = false }: BackgroundOptions) {
    this.#name = name
    this.#log = join(directory, `${name}.log`)
    this.child = spawn(file, args, {
      env: { ...process.env, ...env },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', ...(channel ? (['ipc'] as const) : [])],
    })
    const { pid } = this.child
    if (pid !== undefined) appendFileSync(register, `${pid}\n`)
    const log = createWriteStream(this.#log, { flags: 'a' })
    this.child.stdout?.pipe(log)
    this.child.stderr?.pipe(log)
    this.#exited = new Promise((resolve) => {
      this.child.once('error', () => resolve())
      this.child.once('exit', () => resolve())
    })
  }

  /** Waits for a condition that needs this process; fails with its last words when it ends before or takes too long. */
  async until<T>(
    what: string,
    condition: () => T | undefined | false | Promise<T | undefined | false>,
    limitMs = 20_000,
  ): Promise<T> {
    const since = performance.now()
    for (;;) {
      const value = await condition()
      if (value !== undefined && value !== false) return value
      const hasEnded = this.child.exitCode !== null || this.child.signalCode !== null || !this.child.pid
      if (hasEnded || performance.now() - since > limitMs) {
        throw new Error(
          `${this.#name}: ${what}: ${hasEnded ? 'it ended' : 'too late'}: ${this.output().slice(-2000)}`,
        )
      }
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  /** What it has printed. */
  output(): string {
    try {
      return readFileSync(this.#log, 'utf8')
    } catch {
      return ''
    }
  }

  usage(): Usage {
    return this.child.pid === undefined ? { cpuSeconds: 0, peakBytes: 0 } : usageOf(this.child.pid)
  }

  memory(): Memory {
    const pids = this.child.pid === undefined ? [] : [...familyOf(this.child.pid).keys()]
    const sum = (read: (pid: number) => number): number =>
      pids.map(read).reduce((total, bytes) => total + bytes, 0)
    return {
      residentBytes: sum((pid) => kibibytesOf(pid, 'smaps_rollup', 'Rss')),
      proportionalBytes: sum((pid) => kibibytesOf(pid, 'smaps_rollup', 'Pss')),
      peakBytes: sum(peakBytesOf),
    }
  }

  /** Asks it to end, and after `limitMs` makes it. */
  async stop(limitMs = 10_000): Promise<void> {
    const { pid } = this.child
    if (pid === undefined) return
    signalGroup(pid, 'SIGTERM')
    const timer = setTimeout(() => signalGroup(pid, 'SIGKILL'), limitMs)
    await this.#exited
    clearTimeout(timer)
    signalGroup(pid, 'SIGKILL') /* what it left behind */
  }
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch {
    /* nobody is left in it */
  }
}

/* of the kernel's clock in /proc: 100 on every Linux that Node runs on */
const ticksPerSecond = 100
const kibibyte = 1024

interface ProcessEntry {
  readonly parent: number
  readonly group: number
  readonly cpuSeconds: number
}

/** Of those that have ended, what their parents counted. */
function usageOf(root: number): Usage {
  let cpuSeconds = 0
  let peakBytes = 0
  for (const [pid, entry] of familyOf(root)) {
    cpuSeconds += entry.cpuSeconds
    peakBytes += peakBytesOf(pid)
  }
  return { cpuSeconds, peakBytes }
}

/** A process, its group (sshfs disowns its ssh) and all descendants. */
function familyOf(root: number): Map<number, ProcessEntry> {
  const processes = new Map<number, ProcessEntry>()
  for (const name of readdirSync('/proc')) {
    const entry = /^\d+$/.test(name) ? readEntry(name) : undefined
    if (entry !== undefined) processes.set(Number(name), entry)
  }
  const family = new Map<number, ProcessEntry>()
  /* a set that grows while it is gone through */
  const wanted = new Set([root])
  for (const pid of wanted) {
    const entry = processes.get(pid)
    if (entry === undefined) continue
    family.set(pid, entry)
    for (const [other, { parent, group }] of processes) {
      if (parent === pid || group === root) wanted.add(other)
    }
  }
  return family
}

function readEntry(pid: string): ProcessEntry | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    /* after the name, which is in parentheses and may hold anything: state, parent, ... (proc(5)) */
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const ticks = [11, 12, 13, 14].reduce((sum, field) => sum + Number(fields[field]), 0)
    return { parent: Number(fields[1]), group: Number(fields[2]), cpuSeconds: ticks / ticksPerSecond }
  } catch {
    return undefined /* it has just ended */
  }
}

const peakBytesOf = (pid: number): number => kibibytesOf(pid, 'status', 'VmHWM')

/** A line of a file of /proc, in bytes; 0 of a process that has ended. */
function kibibytesOf(pid: number, file: 'status' | 'smaps_rollup', name: string): number {
  try {
    const text = readFileSync(`/proc/${pid}/${file}`, 'utf8')
    return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0) * kibibyte
  } catch {
    return 0
  }
}
