/**
 * The shell that keeps a mount while no daemon serves it: it holds the kernel's descriptor, waits for the end of the
 * daemon, and starts the next one with the same arguments. Layer: cli.
 *
 * Invariant: it ends with the mount, with 0, and with 1 when it has given up; it is the parent of each daemon that it starts,
 * whose environment is its own. A shell takes a megabyte, and nothing in it can fail that fails in a daemon.
 *
 * Descriptors of the shell and of every daemon that it starts: 3 is /dev/fuse, 4 what keeps fusermount3 from unmounting
 * (`auto_unmount`), 9, of a daemon alone, where it says `up` once it serves and `done` when nobody is to go on. One that
 * is to take over from a living daemon (`restart`) is given 5 as well: it says there that it can, and waits for its turn.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, readSync, writeSync } from 'node:fs'
import type { Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import type { Keep, Keeper, MountDescriptors, Successor, Takeover } from '../mount/keeper.ts'
import { nextFailpoint } from './failpoint.ts'
import { describeFailure } from './report-error.ts'
import { daemonCommand, daemonEnvironment, environmentAfter, type DaemonArguments } from './daemon.ts'

const fuse = 3
const watch = 4
const turn = 5
const words = 9

const takeoverVariable = 'MOUNT_SESSION_TAKEOVER'
const turnVariable = 'MOUNT_SESSION_TURN'

/* the mount is given up after so many ends in a row before it served, or so many that each came so soon after its start */
const unreadyAtMost = 8
const soonAtMost = 30
const soonSeconds = 2

/* of what a daemon says; it becomes a variable of the next one's environment */
const longestWords = 500

/*
 * $1: the mount point; $2: the same as the kernel's table writes it; $3: the mount's device there; the rest: the daemon's
 * command line. `exec`, or some shells would put one more process between. After the second failure in a row it waits,
 * longer each time: the program may be being replaced, the memory scarce. Given up, the mount is unmounted, unless it is
 * gone from there or something else lies over it.
 */
const script = `
directory=$1; place=$2; device=$3; shift 3
read -r said
case $said in done) exit 0;; esac
case $said in crashed*) why="it crashed: \${said#crashed }";; *) why='it was killed';; esac
exec </dev/null
unready=0; soon=0
while [ $unready -lt ${unreadyAtMost} ] && [ $soon -lt ${soonAtMost} ]; do
  if [ $unready -gt 1 ]; then sleep $((unready / 2)); fi
  ${nextFailpoint}
  began=$(date +%s)
  said=$(${takeoverVariable}=$why exec "$@" ${words}>&1 1>&2)
  status=$?
  case "
$said
" in *"
done
"*) exit 0;; esac
  if [ $status -gt 128 ]; then why="it was killed by signal $((status - 128))"; else why="it ended with exit code $status"; fi
  case $said in *"
crashed "*) why="it crashed: \${said##*
crashed }";; esac
  if [ $(($(date +%s) - began)) -gt ${soonSeconds} ]; then soon=0; else soon=$((soon + 1)); fi
  case "
$said
" in *"
up
"*) unready=0;; *) unready=$((unready + 1));; esac
done
echo '{"level":"error","msg":"the daemon ended again and again in short succession: the mount is given up, mount it again"}' >&2
exec ${fuse}>&- ${watch}>&-
top=
while read -r _ _ each _ at _; do
  if [ "$at" = "$place" ]; then top=$each; fi
done </proc/self/mountinfo
if [ "$top" = "$device" ]; then fusermount3 -u -z -- "$directory"; fi
exit 1
`

/** For a daemon that was started as the first of its mount: makes the shell that starts the next. */
function keeperFor(daemon: DaemonArguments, directory: string): Keep {
  return (descriptors, device = '') => {
    const place = directory.replaceAll(/[ \t\n\\]/g, octal)
    const args = [directory, place, device, ...daemonCommand()]
    const child = spawn('/bin/sh', ['-c', script, 'mount-session-keeper', ...args], {
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
    /* after its end the number is given to something else */
    return speakingTo(child.pid, () => (pipe.destroyed ? undefined : fd), daemon, descriptors)
  }
}

const octal = (character: string): string => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`

/** For a daemon that such a shell has started. */
function startedByKeeper(daemon: DaemonArguments): Keep {
  return (descriptors) => {
    say(words, 'up')
    return speakingTo(process.ppid, () => words, daemon, descriptors)
  }
}

/** For a daemon that took over from a living one: the shell may know another program, and makes way for one of ours. */
function successorsKeeper(daemon: DaemonArguments, directory: string): Keep {
  return (descriptors, device) => {
    const keeper = keeperFor(daemon, directory)(descriptors, device)
    say(words, 'done')
    /* it waits for the end of this, too */
    closeSync(words)
    return keeper
  }
}

/** `listener`: where it hears; undefined once it has ended. */
function speakingTo(
  pid: number | undefined,
  listener: () => number | undefined,
  daemon: DaemonArguments,
  descriptors: MountDescriptors,
): Keeper {
  let isDone = false
  /* anything can be thrown */
  process.on('uncaughtExceptionMonitor', (error: unknown) => {
    const [words = ''] = (error instanceof Error ? error.message : String(error)).split('\n', 1)
    if (!isDone) say(listener(), `crashed ${words.slice(0, longestWords)}`)
  })
  return {
    pid,
    done() {
      if (!isDone) say(listener(), 'done')
      isDone = true
    },
    prepare: (command) => prepare(command, listener(), daemon, descriptors),
  }
}

async function prepare(
  [program = '', ...args]: readonly string[],
  keeper: number | undefined,
  daemon: DaemonArguments,
  { fuse: device, watch: watcher }: MountDescriptors,
): Promise<Successor> {
  const none = 'ignore'
  const { stdout, stderr } = process
  const child = spawn(program, [...args, ...process.argv.slice(2)], {
    cwd: '/',
    detached: true,
    env: { ...environmentAfter(daemon), [takeoverVariable]: 'a restart was asked for', [turnVariable]: '1' },
    stdio: [none, stdout.fd, stderr.fd, device, watcher ?? none, 'pipe', none, none, none, keeper ?? none],
  })
  const pipe = (child.stdio as readonly unknown[])[turn] as Readable & Writable
  pipe.on('error', () => undefined)
  const answer = await firstLine(child, pipe)
  if (answer !== 'can') {
    child.kill('SIGKILL')
    throw new Error(answer)
  }
  child.unref()
  return {
    pid: child.pid ?? 0,
    handOver: () => {
      pipe.write('go\n')
      process.exit(0)
    },
  }
}

async function firstLine(child: ChildProcess, pipe: Readable): Promise<string> {
  const failed = once(child, 'exit').then(
    () => 'the next daemon ended before it could say anything: see the log',
  )
  const said = once(pipe.setEncoding('utf8'), 'data').then(([text]) => String(text).trim())
  return Promise.race([said, failed])
}

/** A daemon that is to take over from a living one waits here for its turn, after `check` has passed. */
export function awaitTurn(check: () => void): void {
  if (process.env[turnVariable] === undefined) return
  Reflect.deleteProperty(process.env, turnVariable)
  try {
    check()
  } catch (error) {
    say(turn, describeFailure(error))
    throw error
  }
  say(turn, 'can')
  const go = Buffer.alloc(16)
  /* blocks: there is nothing else to do */
  if (readSync(turn, go) === 0) throw new Error('the daemon before this one ended before it was our turn')
}

/** Who keeps the mount of this daemon, however it was started. */
export function keepOf(takeover: Takeover | undefined, daemon: DaemonArguments, directory: string): Keep {
  if (takeover === undefined) return keeperFor(daemon, directory)
  return takeover.isHandedOver ? successorsKeeper(daemon, directory) : startedByKeeper(daemon)
}

/** The mount that this process was started to go on with; undefined: it was not. */
export function takeoverFrom(env: NodeJS.ProcessEnv): Takeover | undefined {
  const why = env[takeoverVariable]
  if (why === undefined) return undefined
  Reflect.deleteProperty(env, takeoverVariable)
  return { fuse, watch, why, isHandedOver: env[turnVariable] !== undefined }
}

function say(descriptor: number | undefined, line: string): void {
  if (descriptor === undefined) return
  try {
    writeSync(descriptor, `${line}\n`)
  } catch {
    /* it has gone */
  }
}
