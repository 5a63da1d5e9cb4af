/**
 * A real mount of a `MemoryFrontEnd`, served by the test's own process, and programs run on it. Layer: test.
 *
 * Invariant: files of the mount are touched by child processes only, never by this process, whose event
 * loop has to answer. Whatever a test leaves is detached when it ends.
 */

import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtemp, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Logger, silentLogger } from '../../src/log.ts'
import { serve, type Served } from '../../src/fuse/connection.ts'
import { unmountKernel } from '../../src/fuse/fusermount.ts'
import { mountKernel, type KernelMountOptions } from '../../src/fuse/kernel-mount.ts'
import { MemoryFrontEnd, type MemoryOptions } from './memory-front-end.ts'

export interface Mounted {
  readonly directory: string
  readonly fs: MemoryFrontEnd
  readonly served: Served
  /** What was logged as an error. */
  readonly errors: object[]
  /** Runs a shell script in the mount. */
  readonly sh: (script: string) => Promise<Ended>
  /** Starts one without waiting. */
  readonly start: (script: string) => Running
}

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
}

export interface Teardown {
  teardown(work: () => Promise<unknown>): void
}

/** At most 30 seconds. */
export function run(command: string, args: readonly string[]): Running {
  const child = spawn(command, args, { cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] })
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text))
  const limit = setTimeout(() => child.kill('SIGKILL'), 30_000)
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      clearTimeout(limit)
      resolve({ code, signal, ...output })
    })
  })
  return { child, ended }
}

export async function emptyDirectory(t: Teardown): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'fuse-test-'))
  t.teardown(() => rmdir(directory))
  return directory
}

export async function mounted(
  t: Teardown,
  options: MemoryOptions &
    Partial<KernelMountOptions> & { readonly trace?: object[]; readonly onWork?: () => void } = {},
): Promise<Mounted> {
  const directory = await mkdtemp(join(tmpdir(), 'fuse-test-'))
  const errors: object[] = []
  const ignore = (): void => undefined
  const logger: Logger = {
    ...silentLogger,
    error: (fields) => errors.push(fields),
    trace: (fields) => options.trace?.push(fields),
    isLevelEnabled: () => options.trace !== undefined,
  }
  const fs = new MemoryFrontEnd(options)
  const mount = await mountKernel(directory, { source: 'memory', ...options })
  const served = serve({ descriptor: mount.descriptor, frontEnd: fs, logger, onWork: options.onWork })
  t.teardown(async () => {
    await unmountKernel(directory, { lazy: true }).catch(ignore)
    served.stop()
    await served.done
    mount.release()
    await rmdir(directory)
  })
  await served.ready
  // `cd` by the shell: a working directory given to spawn would be looked at from this process.
  const start = (script: string): Running => run('sh', ['-c', `cd "$1" && ${script}`, 'sh', directory])
  return {
    directory,
    fs,
    served,
    errors,
    start,
    sh: (script) => start(script).ended,
  }
}

const daemon = `
  const { MemoryFrontEnd } = await import('${new URL('memory-front-end.ts', import.meta.url).href}')
  const { serve } = await import('${new URL('../../src/fuse/connection.ts', import.meta.url).href}')
  const { mountKernel } = await import('${new URL('../../src/fuse/kernel-mount.ts', import.meta.url).href}')
  const quiet = () => undefined
  const logger = { debug: quiet, info: quiet, warn: quiet, error: quiet, isLevelEnabled: () => false }
  const options = JSON.parse(process.argv[2])
  try {
    const mount = await mountKernel(process.argv[1], { source: 'memory', ...options })
    const fs = new MemoryFrontEnd()
    fs.put('f', 'content')
    const served = serve({ descriptor: mount.descriptor, frontEnd: fs, logger })
    await served.ready
    console.log('ready')
    console.log(await served.done)
    mount.release()
  } catch (error) {
    console.log(error.code)
  }
`

export interface Daemon extends Running {
  /** The first line it printed: `ready`, or the code of its failure. */
  readonly line: Promise<string>
}

/** The same in a process of its own, which can be killed. */
export function startDaemon(directory: string, options: object, as: readonly string[] = []): Daemon {
  const args = ['--input-type=module', '-e', daemon, directory, JSON.stringify(options)]
  const running = run('env', [...as, process.execPath, ...args])
  const line = new Promise<string>((resolve) => {
    running.child.stdout?.once('data', (text: string) => resolve(text.trim()))
    void running.ended.then(({ stderr }) => resolve(stderr))
  })
  return { ...running, line }
}

/** Before a command: runs it as a user without rights. */
export const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']

/** A hook that makes its call wait until it is interrupted (or forever), and tells when it was reached. */
export function hanging(): {
  readonly reached: Promise<void>
  readonly hook: (caller: { readonly signal: AbortSignal }) => Promise<void>
  readonly letGo: () => void
} {
  const reached = Promise.withResolvers<undefined>()
  const held = Promise.withResolvers<undefined>()
  return {
    reached: reached.promise,
    letGo: () => held.resolve(undefined),
    hook: ({ signal }) => {
      reached.resolve(undefined)
      return new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error))
        void held.promise.then(resolve)
      })
    },
  }
}

/** Waits until a condition holds that the kernel brings about in its own time. */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  limitMs = 10_000,
): Promise<boolean> {
  const end = performance.now() + limitMs
  while (!(await condition())) {
    if (performance.now() > end) return false
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return true
}
