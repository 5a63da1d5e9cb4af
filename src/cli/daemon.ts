/**
 * Going on in the background: the command line starts itself again, detached, and waits until that one says
 * that the mount answers. Layer: cli.
 *
 * Invariant: the caller learns how it went, whatever happens to the daemon: it says `ok` or one JSON line on
 * its descriptor 3, and a pipe that ends without either is a daemon that died. Its stdout and stderr are the
 * log from the first moment, so nothing of the caller's terminal is held open.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, writeSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { withCompiled } from './compile-cache.ts'
import { failpointsAfter } from './failpoint.ts'
import { openLog } from './log-file.ts'
import { CommandFailure, complain, describeFailure } from './report-error.ts'

const readinessVariable = 'MOUNT_SESSION_READINESS'
const argumentsVariable = 'MOUNT_SESSION_ARGUMENTS'
const readinessDescriptor = 3

/* glibc would give each of some twenty threads a heap of its own, and keep what is freed in it: after 2,000 files
   unpacked a process takes 10 to 18 MB less so, for no CPU beyond the noise of the measurement. */
const arenasVariable = 'MALLOC_ARENA_MAX'
const fewArenas = '2'

/** What a daemon was started with; `ps` shows less of it, since not all is for everybody. */
export interface DaemonArguments {
  /** Of the command that was typed. */
  readonly argv: readonly string[]
  /** Where it was typed. */
  readonly cwd: string
  /** Of the service manager that it was typed for; every daemon of the mount tells it. */
  readonly notifySocket?: string | undefined
}

/** How a daemon reports to whoever started it; each is called at most once. */
export interface Readiness extends DaemonArguments {
  ready(): void
  failed(error: unknown): void
}

/** The pipe to whoever started this process as a daemon; undefined when nobody did. A keeper has no use for it. */
export function readinessPipe(): Readiness | undefined {
  const given = process.env[argumentsVariable]
  if (given === undefined) {
    return undefined
  }
  const daemon = JSON.parse(given) as DaemonArguments
  const isAwaited = process.env[readinessVariable] !== undefined
  /* not for the programs that we start */
  for (const name of [readinessVariable, argumentsVariable]) Reflect.deleteProperty(process.env, name)
  if (process.env[arenasVariable] === fewArenas) Reflect.deleteProperty(process.env, arenasVariable)
  const say = (line: string): void => {
    if (!isAwaited) return
    try {
      writeSync(readinessDescriptor, `${line}\n`)
      closeSync(readinessDescriptor)
    } catch {
      /* the caller has gone: it was interrupted, and has told us by a signal */
    }
  }
  return {
    ...daemon,
    ready: () => say('ok'),
    failed: (error) => say(JSON.stringify({ message: describeFailure(error) })),
  }
}

/** What a request leaves behind is small and soon dead: with Node's own 16 MiB the process takes 100 MB more. */
export const smallYoungGeneration = '--max-semi-space-size=4'
/* V8 would look every eight seconds, for ever, whether an idle process could do with less memory. */
const noIdleTimer = '--no-memory-reducer'

/** The command line of this daemon, for one that is to go on when it has ended. */
export function daemonCommand(): readonly string[] {
  return [process.execPath, ...process.execArgv, ...process.argv.slice(1)]
}

/** Its environment likewise; it holds nothing that this one's does not. */
export function environmentAfter(daemon: DaemonArguments): NodeJS.ProcessEnv {
  return { ...daemonEnvironment(daemon), ...failpointsAfter(process.env) }
}

/** Of a keeper, which looks after what comes next. */
export function daemonEnvironment({ argv, cwd, notifySocket }: DaemonArguments): NodeJS.ProcessEnv {
  return {
    [arenasVariable]: fewArenas,
    ...withCompiled(process.env),
    [argumentsVariable]: JSON.stringify({ argv, cwd, notifySocket }),
  }
}

/** What Node runs a daemon with. */
export const daemonFlags: readonly string[] = [smallYoungGeneration, noIdleTimer]

export interface DaemonOptions extends DaemonArguments {
  readonly entry: string
  /** What everybody may see of them, in `ps`. */
  readonly shown: readonly string[]
  readonly logFile: string
}

/** Starts `entry` as the daemon with these arguments; resolves with the exit code once it is known how it went. */
export async function becomeDaemon({ entry, shown, logFile, ...given }: DaemonOptions): Promise<number> {
  const log = openLog(logFile)
  const child = spawn(process.execPath, [...daemonFlags, ...process.execArgv, entry, ...shown], {
    detached: true,
    env: { ...daemonEnvironment(given), [readinessVariable]: String(readinessDescriptor) },
    stdio: ['ignore', log, log, 'pipe'],
  })
  closeSync(log)
  const stopForwarding = forwardSignals(child)
  try {
    const answer = await readAll(child.stdio[readinessDescriptor] as Readable)
    if (answer === 'ok\n') {
      return 0
    }
    if (answer !== '') {
      complain((JSON.parse(answer) as { readonly message: string }).message)
      return 1
    }
    throw new CommandFailure(
      `the daemon ended before it was ready (${await howItEnded(child)}): see ${logFile}`,
    )
  } finally {
    stopForwarding()
    child.unref()
  }
}

/* a Ctrl-C at the terminal does not reach the daemon, which has a session of its own */
function forwardSignals(child: ChildProcess): () => void {
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal)
  process.on('SIGINT', forward)
  process.on('SIGTERM', forward)
  return () => {
    process.off('SIGINT', forward)
    process.off('SIGTERM', forward)
  }
}

async function readAll(pipe: Readable): Promise<string> {
  let text = ''
  for await (const chunk of pipe.setEncoding('utf8') as AsyncIterable<string>) {
    text += chunk
  }
  return text
}

async function howItEnded(child: ChildProcess): Promise<string> {
  if (child.exitCode === null && child.signalCode === null) {
    await once(child, 'exit')
  }
  return child.signalCode ?? `exit code ${child.exitCode ?? 'unknown'}`
}
