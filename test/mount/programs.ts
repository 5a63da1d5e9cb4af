/**
 * Programs that a test runs, each with a limit. Layer: test.
 *
 * Invariant: a program ends within its limit, one that hangs on a mount too: then the mount's connection is
 * aborted, which answers all that waits in it, and the whole process group is killed.
 */

import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  /** What has come on stdout so far. */
  readonly stdout: () => string
  /** Resolves when stdout so far passes; rejects after 20 seconds, or at the end without. */
  readonly until: (passes: (stdout: string) => boolean) => Promise<string>
}

export interface ProgramOptions {
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  /** Default 30 seconds. */
  readonly limitMs?: number | undefined
  /** Called when the limit is over, before the group is killed. */
  readonly onLimit?: (() => void) | undefined
}

export function start(
  command: string,
  args: readonly string[],
  { env = process.env, limitMs = 30_000, onLimit }: ProgramOptions = {},
): Running {
  const child = spawn(command, args, {
    cwd: '/',
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const said = { stdout: '', stderr: '' }
  const watchers = new Set<() => void>()
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said.stdout += text
    for (const look of watchers) look()
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.stderr += text))
  const limit = setTimeout(() => {
    said.stderr += `\nkilled: not done after ${limitMs} ms`
    onLimit?.()
    killGroup(child)
  }, limitMs)
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      clearTimeout(limit)
      resolve({ code, signal, ...said })
    })
  })
  const until = (passes: (stdout: string) => boolean): Promise<string> =>
    new Promise((resolve, reject) => {
      const stop = (): void => {
        watchers.delete(look)
        clearTimeout(late)
      }
      const look = (): void => {
        if (!passes(said.stdout)) return
        stop()
        resolve(said.stdout)
      }
      const fail = (why: string): void => {
        stop()
        reject(new Error(`${why}; so far:\n${said.stdout}\n${said.stderr}`))
      }
      const late = setTimeout(() => fail('it did not say what was waited for'), 20_000)
      watchers.add(look)
      void ended.then(() => {
        look()
        if (watchers.has(look)) fail('it ended without saying what was waited for')
      })
      look()
    })
  return { child, ended, stdout: () => said.stdout, until }
}

export function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
  } catch {
    /* it has ended */
  }
}

/** Waits for what comes about in its own time; false when it did not within the limit. */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  limitMs = 20_000,
): Promise<boolean> {
  const end = performance.now() + limitMs
  while (!(await condition())) {
    if (performance.now() > end) return false
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return true
}
