/**
 * What system calls do on a mount and on the local disk. Layer: tests.
 *
 * Invariant: a snippet runs in a child process, in a directory of its own on either side; what it shows is
 * compared value by value. One that has no answer within its limit fails with the mount aborted.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { type MountedEmulator, mountEmulator, type MountOptions } from '../mount/rig.ts'

const driverFile = join(import.meta.dirname, 'behaviours.py')
const answerLimitMs = 60_000

export interface SnippetOptions {
  /** Runs as this user and group. */
  readonly uid?: number
}

export interface Behaviours extends MountedEmulator {
  /** What the snippet shows in a new directory of the mount. */
  readonly shown: (code: string, options?: SnippetOptions) => Promise<readonly unknown[]>
  /** As `shown`, and it must show the same in a directory of the local disk. */
  readonly alike: (t: Test, code: string, options?: SnippetOptions) => Promise<readonly unknown[]>
  /** The directory of the snippet that ran last, below the root of the mount and of the session's home. */
  readonly last: () => string
}

export async function startBehaviours(t: Test, options: MountOptions = {}): Promise<Behaviours> {
  const mounted = await mountEmulator(t, { emulator: { latencyMs: 2 }, ...options })
  const local = join(mounted.root, 'local')
  fs.mkdirSync(local)
  fs.chmodSync(mounted.root, 0o755)
  const driver = new Driver(() => mounted.abort())
  t.teardown(() => driver.end())
  let count = 0
  const shown: Behaviours['shown'] = async (code, given) => {
    const name = `snippet-${++count}`
    await driver.ask({
      directory: mounted.directory,
      code: `os.mkdir('${name}'); os.chmod('${name}', 0o777)`,
    })
    return driver.ask({ directory: join(mounted.directory, name), code, ...given })
  }
  return {
    ...mounted,
    last: () => `snippet-${count}`,
    shown,
    alike: async (t, code, given) => {
      const found = await shown(code, given)
      const directory = join(local, `snippet-${count}`)
      fs.mkdirSync(directory)
      fs.chmodSync(directory, 0o777)
      t.strictSame(found, await driver.ask({ directory, code, ...given }), 'as on the local disk')
      return found
    },
  }
}

class Driver {
  readonly #child = spawn('python3', [driverFile], { stdio: ['pipe', 'pipe', 'inherit'], cwd: '/' })
  readonly #answers = createInterface(this.#child.stdout)[Symbol.asyncIterator]()
  readonly #abort: () => void

  constructor(abort: () => void) {
    this.#abort = abort
  }

  async ask(request: object): Promise<readonly unknown[]> {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`)
    const limit = setTimeout(this.#abort, answerLimitMs)
    try {
      const line = await this.#answers.next()
      if (line.done === true) throw new Error('the driver has ended')
      const answer = JSON.parse(line.value) as { shown?: unknown[]; failed?: string }
      if (answer.shown === undefined) throw new Error(answer.failed)
      return answer.shown
    } finally {
      clearTimeout(limit)
    }
  }

  async end(): Promise<void> {
    const ended = once(this.#child, 'exit')
    this.#child.stdin.end()
    await ended
  }
}
