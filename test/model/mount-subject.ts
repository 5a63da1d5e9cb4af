/**
 * A real mount of an emulator's session as a subject of the model test: a child process does the system calls.
 * Layer: tests.
 *
 * Invariant: one operation at a time is under way; what has no answer within its limit fails, with the mount
 * aborted, and hangs nothing.
 */
import { once } from 'node:events'
import * as fs from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { spawn } from 'node:child_process'
import {
  type Mounted,
  type MountedEmulator,
  mountEmulator,
  type MountOptions,
  type Teardown,
  treeOf,
} from '../mount/rig.ts'
import { mountOutliving } from '../outlives/rig.ts'
import { bytesOf, type ForeignChange, type Operation, scratchPattern } from './operations.ts'
import { digestOf } from './entries.ts'
import type { Subject } from './run.ts'

const driverFile = join(import.meta.dirname, 'driver.py')
const answerLimitMs = 60_000
/** Longer than the second look at calls that ended unclearly. */
const unmountLimitMs = 150_000
const ttlMs = 200

const options: MountOptions = {
  emulator: { latencyMs: 1, seedFiles: false },
  args: [`--local-names=${scratchPattern}`, `--ttl=${ttlMs / 1000}`],
}

/** Many runs share one mount, each in an emptied directory. */
export async function startMount(t: Teardown): Promise<() => Promise<Subject>> {
  const mounted = await mountEmulator(t, options)
  return runsOn(mounted, () => undefined)
}

/** The same on a mount that outlives its daemon. */
export async function startOutliving(t: Teardown): Promise<() => Promise<Subject>> {
  const mounted = await mountOutliving(t, options)
  return runsOn(mounted, (afterMs) => {
    const pid = mounted.daemon()
    if (pid === undefined) return
    if (afterMs === 0) mounted.end(pid)
    else setTimeout(() => mounted.end(pid), afterMs)
  })
}

function runsOn(mounted: MountedEmulator, kill: (afterMs: number) => void): () => Promise<Subject> {
  const daemon = { pid: mounted.pid }
  let runs = 0
  return async () => {
    const name = `run-${++runs}`
    await mounted.ok(`mkdir ${name}`)
    return new MountSubject(mounted, daemon, name, kill)
  }
}

class MountSubject implements Subject {
  /* the kernel may take a store over the limit apart, and the first part goes through: not met here */
  readonly maxFileBytes = 52_428_800
  readonly #mounted: MountedEmulator
  readonly #directory: string
  readonly #remote: string
  #driver: Driver
  readonly #daemon: { pid: number }
  readonly #kill: (afterMs: number) => void

  constructor(
    mounted: MountedEmulator,
    daemon: { pid: number },
    name: string,
    kill: (afterMs: number) => void,
  ) {
    this.#kill = kill
    this.#mounted = mounted
    this.#directory = join(mounted.directory, name)
    this.#remote = join(mounted.emulator.home, name)
    this.#driver = new Driver(mounted, this.#directory)
    this.#daemon = daemon
  }

  async apply(operation: Operation): Promise<string> {
    switch (operation.do) {
      case 'pass':
        await new Promise((resolve) => setTimeout(resolve, Math.min(operation.ms, 200)))
        return 'ok'
      case 'kill':
        this.#kill(operation.afterMs)
        return 'ok'
      case 'crash':
        await this.#crash()
        return 'ok'
      case 'remount':
        await this.#remount()
        return 'ok'
      case 'fault': {
        const { verb, times } = operation
        const when = operation.applied === 'never' ? 'before-commit' : 'after-commit'
        const failing = verb === 'remove' ? 'delete' : 'upload'
        this.#mounted.emulator.fault({ kind: 'reset', when, verb: failing, times })
        return 'ok'
      }
      case 'foreignWrite':
      case 'foreignRemove':
      case 'foreignMkdir':
        await this.#foreign(operation)
        return 'ok'
      case 'check':
      case 'barrier':
      case 'forget':
      case 'refuse':
      case 'hold':
      case 'letGo':
        return 'ok'
      default:
        return this.#driver.ask(operation) as Promise<string>
    }
  }

  async tree(): Promise<Map<string, { shown: string; inode: number }>> {
    const found = await this.#driver.ask({ do: 'tree' })
    if (typeof found === 'string') throw new Error(`tree: ${found}`)
    return new Map(Object.entries(found as Record<string, { shown: string; inode: number }>))
  }

  async remoteTree(): Promise<string[]> {
    const answer = await this.#driver.ask({ do: 'barrier' })
    if (answer !== 'ok') throw new Error(`barrier: ${String(answer)}`)
    return Object.keys(treeOf(this.#remote))
      .map((path) => {
        const location = join(this.#remote, path)
        return fs.statSync(location).isDirectory()
          ? `${path}/`
          : `${path} ${digestOf(fs.readFileSync(location))}`
      })
      .sort()
  }

  async close(): Promise<void> {
    await this.#driver.end()
  }

  /** The daemon is killed, and the next one goes on from the journal. */
  async #crash(): Promise<void> {
    process.kill(this.#daemon.pid, 'SIGKILL')
    await this.#driver.ask({ do: 'crash' })
    await this.#driver.end()
    this.#daemon.pid = await this.#mounted.mountAgain()
    this.#driver = new Driver(this.#mounted, this.#directory)
  }

  /** Unmounted by its command, and mounted again. */
  async #remount(): Promise<void> {
    await this.#driver.ask({ do: 'remount' })
    await this.#driver.end()
    const { code, stderr } = await this.#mounted.command(['unmount', this.#mounted.directory], {
      limitMs: unmountLimitMs,
    })
    if (code !== 0) throw new Error(`unmount: ${stderr}`)
    this.#daemon.pid = await this.#mounted.mountAgain()
    this.#driver = new Driver(this.#mounted, this.#directory)
  }

  /**
   * What the agent does, until everybody sees it: after the TTL, or five times what a listing takes, which on a
   * busy machine is longer. What is written before is a change of both sides, and theirs is saved beside it.
   */
  async #foreign(operation: ForeignChange): Promise<void> {
    const location = join(this.#remote, operation.path)
    const isDirectory = fs.existsSync(location) && fs.statSync(location).isDirectory()
    if (operation.do !== 'foreignWrite' || isDirectory) fs.rmSync(location, { recursive: true, force: true })
    fs.mkdirSync(dirname(location), { recursive: true })
    if (operation.do === 'foreignWrite') fs.writeFileSync(location, bytesOf(operation.bytes))
    if (operation.do === 'foreignMkdir') fs.mkdirSync(location, { recursive: true })
    const end = performance.now() + answerLimitMs
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, ttlMs + 50))
      /* an errno: a name was listed and is gone */
      const tree = (await this.#driver.ask({ do: 'tree' })) as string | Record<string, { shown: string }>
      if (typeof tree === 'object' && isSeen(operation, tree[operation.path]?.shown)) return
      if (performance.now() > end) throw new Error(`${operation.do} ${operation.path}: not seen`)
    }
  }
}

/** Whether what is shown of a path is what the agent made of it. */
function isSeen(operation: ForeignChange, shown = ''): boolean {
  switch (operation.do) {
    case 'foreignWrite':
      return shown.endsWith(` ${digestOf(bytesOf(operation.bytes))}`)
    case 'foreignRemove':
      return shown === ''
    case 'foreignMkdir':
      return shown.startsWith('directory ')
  }
}

class Driver {
  readonly #child
  readonly #answers
  readonly #abort: () => void

  constructor(mounted: Mounted, directory: string) {
    this.#child = spawn('python3', [driverFile, directory], { stdio: ['pipe', 'pipe', 'inherit'], cwd: '/' })
    this.#answers = createInterface(this.#child.stdout)[Symbol.asyncIterator]()
    this.#abort = () => mounted.abort()
  }

  async ask(operation: object): Promise<unknown> {
    this.#child.stdin.write(`${JSON.stringify(operation)}\n`)
    const limit = setTimeout(this.#abort, answerLimitMs)
    try {
      const answer = await this.#answers.next()
      if (answer.done === true) throw new Error('the driver has ended')
      return JSON.parse(answer.value) as unknown
    } finally {
      clearTimeout(limit)
    }
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.stdin.end()
    await ended
  }
}
