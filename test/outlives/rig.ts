/**
 * A mount whose daemon is killed and comes back by itself, under programs that go on. Layer: test.
 *
 * Invariant: the daemon is found without asking the mount, which does not answer while there is none; a kill is over
 * when another process says that it serves; and no process of the mount outlives the test.
 *
 * `OUTLIVES_KILLS`, default 20, is how many kills the programs of a run share; with 0 nothing is killed at all, and
 * every test must pass for a mount that never dies. `OUTLIVES_SEED` chooses other moments.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { StatusReport } from '../../src/control/protocol.ts'
import { eventually, type Running } from '../mount/programs.ts'
import {
  describe,
  isRunning,
  main,
  mountEmulator,
  type MountedEmulator,
  type MountOptions,
} from '../mount/rig.ts'
import { Random } from '../write-back/random.ts'

export const kills = Number(process.env['OUTLIVES_KILLS'] ?? 20)
export const seed = Number(process.env['OUTLIVES_SEED'] ?? 5)

/* Among how many programs the kills are shared: those of programs.test.ts and loops.test.ts. */
const programs = 16
/** How often each of them is to be killed under. */
export const killsEach = Math.ceil(kills / programs)

/** Of one test, on a machine that does other things, too; a file has its own, by `t.setTimeout`. */
export const timeout = 120_000 + killsEach * 15_000
export const fileTimeout = 8 * timeout

/* THE ONE PLACE that turns the feature on: it is to become `{ restart: true }`. */
const outliving = { restart: true }

const servesWithinMs = 30_000

export interface Outliving extends MountedEmulator {
  /** The process that serves now, or is about to; undefined while there is none. */
  daemon(): number | undefined
  /** The words of every process of this mount, that of the keeper and of commands too. */
  processes(): readonly string[]
  /** The failpoints that daemons have been killed at, in their order. */
  killedAt(): readonly string[]
  /** Kills the present daemon and resolves when another one serves. */
  kill(): Promise<void>
  /** Kills the present daemon, and resolves with its number at once: nobody serves then. */
  strike(): Promise<number | undefined>
  /** Resolves with the next daemon when its process is there, whether it serves or not. */
  successor(victim: number | undefined): Promise<number | undefined>
  /** Kills this one, unless nothing is to be killed. */
  end(pid: number): void
  /** Resolves when a daemon serves, another one than this. */
  served(victim: number | undefined): Promise<void>
  /** Kills at random moments for as long as the program goes on, `times` at most; how often. */
  killWhile(program: Running, how: { readonly times: number; readonly seed: number }): Promise<number>
}

export async function mountOutliving(
  t: Pick<Test, 'teardown'>,
  options: MountOptions = {},
): Promise<Outliving> {
  const mounted = await mountEmulator(t, { ...options, ...outliving })
  const { mountedAt: directory } = mounted
  const keeper = keeperOf(mounted.pid)
  const processes = (): Process[] => processesOf(directory, keeper)
  const endAll = (): void => {
    for (const { pid } of processes()) signal(pid, 'SIGKILL')
  }
  process.once('exit', endAll)
  t.teardown(async () => {
    /* again, as the keeper may have started one meanwhile */
    await eventually(() => (endAll(), processes().length === 0))
    process.off('exit', endAll)
  })

  /* a process that was killed may be seen for a moment yet */
  const killed = new Set<number>()
  const end = (pid: number): void => {
    if (kills === 0) return
    killed.add(pid)
    signal(pid, 'SIGKILL')
  }
  const daemonAfter = (victim?: number): number | undefined =>
    daemonsOf(directory).find((pid) => pid !== victim && !killed.has(pid))
  const successor: Outliving['successor'] = async (victim) => {
    if (kills === 0) return daemonAfter()
    let found: number | undefined
    const look = (): boolean => (found = daemonAfter(victim)) !== undefined
    if (await eventually(look, servesWithinMs)) return found
    throw new Error(`no process came after ${victim}: ${shown(directory)}`)
  }
  const strike: Outliving['strike'] = async () => {
    if (kills === 0) return undefined
    const victim = await successor(undefined)
    if (victim !== undefined) end(victim)
    return victim
  }
  const served: Outliving['served'] = async (victim) => {
    if (kills === 0) return
    const began = performance.now()
    const seen = new Map<number, number>()
    let last = 'it was not asked'
    const isServed = async (): Promise<boolean> => {
      const pid = daemonAfter(victim)
      if (pid === undefined) return false
      mounted.owns(pid)
      if (!seen.has(pid)) seen.set(pid, Math.round(performance.now() - began))
      const asked = await mounted.command(['status', '--json', directory], { limitMs: 10_000 })
      last = describe(asked)
      return asked.code === 0 && (JSON.parse(asked.stdout) as StatusReport).pid === pid
    }
    if (await eventually(isServed, servesWithinMs)) return
    const came = [...seen].map(([pid, ms]) => `${pid} after ${ms} ms`).join(', ')
    throw new Error(
      `no other daemon than ${victim} serves after ${servesWithinMs} ms; seen: ${came || 'none'}; now: ` +
        `${shown(directory)}\nthe last status: ${last}\nthe log ends with:\n${endOfLog(mounted.root)}`,
    )
  }
  const kill = async (): Promise<void> => served(await strike())
  return {
    ...mounted,
    daemon: () => daemonAfter(),
    killedAt: () =>
      mounted.logged('info').flatMap((line) => /"msg":"killed at (.*)"/.exec(line)?.slice(1) ?? []),
    processes: () => processes().map(({ pid, words }) => `${pid} ${words}`),
    end,
    kill,
    strike,
    successor,
    served,
    killWhile: async (program, { times, seed }) => {
      const random = new Random(seed)
      const moment = (): Promise<boolean> =>
        passed(random.below(random.chance(0.5) ? 100 : 500)).then(() => true)
      const ended = program.ended.then(() => false)
      let done = 0
      while (kills > 0 && done < times && (await Promise.race([ended, moment()]))) {
        try {
          const victim = await strike()
          done++
          if (random.chance(0.2)) {
            // in the midst of recovering
            const next = await successor(victim)
            await passed(random.below(400))
            if (next !== undefined) end(next)
            await served(next)
          } else await served(victim)
        } catch (error) {
          const why = error instanceof Error ? error.message : String(error)
          const { exitCode, signalCode } = program.child
          const isOver = exitCode !== null || signalCode !== null
          const said = isOver ? describe(await program.ended) : program.stdout().slice(-500)
          throw new Error(`kill ${done} of seed ${seed}: ${why}\nthe program has said:\n${said}`)
        }
      }
      return done
    },
  }
}

interface Process {
  readonly pid: number
  readonly program: string
  readonly words: string
}

/**
 * Who has the code and the mount point among its words: daemons, the commands that ask them, the keeper. It is known
 * by its number as well, for as long as it holds the kernel's side: numbers are given out again.
 */
function processesOf(directory: string, keeper?: number): Process[] {
  return fs.readdirSync('/proc').flatMap((name) => {
    const pid = Number(name)
    if (!Number.isInteger(pid) || !isRunning(pid)) return []
    try {
      const words = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
      const isOurs =
        (words.includes(main) && words.includes(directory)) || (pid === keeper && holdsKernel(pid))
      return isOurs ? [{ pid, program: fs.readlinkSync(`/proc/${pid}/exe`), words }] : []
    } catch {
      return [] // it has ended
    }
  })
}

/** Who started the daemon, if it holds the kernel's side, too; nobody does where a dead daemon stays dead. */
function keeperOf(daemon: number): number | undefined {
  const parent = Number(/^PPid:\t(\d+)$/m.exec(fs.readFileSync(`/proc/${daemon}/status`, 'utf8'))?.[1])
  return parent > 1 && parent !== process.pid && holdsKernel(parent) ? parent : undefined
}

/** The node processes that hold the kernel's side: neither the keeper, which is a shell, nor a command. */
function daemonsOf(directory: string): number[] {
  return processesOf(directory)
    .filter(({ pid, program }) => program === fs.realpathSync(process.execPath) && holdsKernel(pid))
    .map(({ pid }) => pid)
}

function holdsKernel(pid: number): boolean {
  try {
    return fs.readdirSync(`/proc/${pid}/fd`).some((fd) => readLink(`/proc/${pid}/fd/${fd}`) === '/dev/fuse')
  } catch {
    return false
  }
}

function readLink(path: string): string | undefined {
  try {
    return fs.readlinkSync(path)
  } catch {
    return undefined // it was closed meanwhile
  }
}

const shown = (directory: string): string =>
  processesOf(directory)
    .map(({ pid, words }) => `${pid} ${words}${holdsKernel(pid) ? '(has /dev/fuse)' : ''}`)
    .join('; ') || 'no process of this mount'

const endOfLog = (root: string): string => {
  const log = join(root, 'daemon.log')
  return fs.existsSync(log) ? fs.readFileSync(log, 'utf8').split('\n').slice(-20).join('\n') : 'no log'
}

export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    /* it has ended */
  }
}

const passed = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
