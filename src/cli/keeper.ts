/**
 * The shell that keeps a mount while no daemon serves it: it holds the kernel's descriptor, waits for the end of the
 * daemon, and starts the next one with the same arguments. Layer: cli.
 *
 * Invariant: it ends with the mount, and when it has given up; its environment is the daemon's own. A shell takes a
 * megabyte, and nothing in it can fail that fails in a daemon.
 *
 * Descriptors of the shell and of every daemon that it starts: 3 is /dev/fuse, 4 what keeps fusermount3 from unmounting
 * (`auto_unmount`), 9, of a daemon alone, where it says `up` once it serves and `done` when nobody is to go on.
 */
import { spawn } from 'node:child_process'
import { writeSync } from 'node:fs'
import type { Socket } from 'node:net'
import type { Keep, Keeper, Takeover } from '../mount/keeper.ts'
import { daemonCommand, daemonEnvironment, type DaemonArguments } from './daemon.ts'

const fuse = 3
const watch = 4
const words = 9

const takeoverVariable = 'MOUNT_SESSION_TAKEOVER'

/* so many ends in a row, each so soon after the start, and the mount is given up */
const failuresAtMost = 5
const soonSeconds = 2

/* $1: the mount point; the rest: the daemon's command line */
const script = `
directory=$1; shift
read -r said
case $said in done) exit 0;; esac
case $said in crashed*) why="it crashed: \${said#crashed }";; *) why='it was killed';; esac
exec </dev/null
failures=0
while [ $failures -lt ${failuresAtMost} ]; do
  began=$(date +%s)
  said=$(${takeoverVariable}=$why "$@" ${words}>&1 1>&2)
  status=$?
  case $said in *done*) exit 0;; esac
  if [ $status -gt 128 ]; then why="it was killed by signal $((status - 128))"; else why="it ended with exit code $status"; fi
  case $said in *crashed*) why="it crashed: \${said##*crashed }";; esac
  if [ $(($(date +%s) - began)) -gt ${soonSeconds} ]; then failures=0; else failures=$((failures + 1)); fi
done
echo '{"level":"error","message":"the daemon ended ${failuresAtMost} times in short succession: the mount is given up, mount it again"}' >&2
exec fusermount3 -u -z -- "$directory"
`

/** For a daemon that was started as the first of its mount: makes the shell that starts the next. */
export function keeperFor(daemon: DaemonArguments, directory: string): Keep {
  return (descriptors) => {
    const [command = '', ...args] = daemonCommand()
    const child = spawn('/bin/sh', ['-c', script, 'mount-session-keeper', directory, command, ...args], {
      cwd: '/',
      detached: true,
      env: daemonEnvironment(daemon),
      stdio: ['pipe', process.stdout.fd, process.stderr.fd, descriptors.fuse, descriptors.watch ?? 'ignore'],
    })
    child.unref()
    const pipe = child.stdin as unknown as Socket
    pipe.unref()
    /* it was killed: the mount ends with this process, as it would without one */
    pipe.on('error', () => undefined)
    child.on('error', () => undefined)
    const { fd } = (pipe as unknown as { readonly _handle: { readonly fd: number } })._handle
    return speakingTo(fd)
  }
}

/** For a daemon that such a shell has started. */
export const startedByKeeper: Keep = () => {
  const keeper = speakingTo(words)
  say(words, 'up')
  return keeper
}

function speakingTo(descriptor: number): Keeper {
  let isDone = false
  process.on('uncaughtExceptionMonitor', (error) => {
    if (!isDone) say(descriptor, `crashed ${error.message.split('\n', 1)[0] ?? ''}`)
  })
  return {
    done() {
      if (!isDone) say(descriptor, 'done')
      isDone = true
    },
  }
}

/** The mount that this process was started to go on with; undefined: it was not. */
export function takeoverFrom(env: NodeJS.ProcessEnv): Takeover | undefined {
  const why = env[takeoverVariable]
  if (why === undefined) return undefined
  Reflect.deleteProperty(env, takeoverVariable)
  return { fuse, watch, why }
}

function say(descriptor: number, line: string): void {
  try {
    writeSync(descriptor, `${line}\n`)
  } catch {
    /* it has gone */
  }
}
