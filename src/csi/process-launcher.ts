/**
 * Daemons of volumes as processes beside the driver, in its own Pod. Layer: csi.
 *
 * Invariant: each is a process of its own, so that none takes another along; but all of them end with the driver's
 * container, and with them the mounts.
 */
import { spawn } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Launcher } from './launcher.ts'
import type { DaemonUser, VolumeFiles } from './volume-files.ts'

const pidFile = 'daemon.pid'

export class ProcessLauncher implements Launcher {
  readonly what = 'a process of the driver'
  readonly lookAgainMs = 200
  readonly #command: readonly string[]
  readonly #user: DaemonUser

  /** `command` starts a daemon when it is given the directory of a volume. */
  constructor(command: readonly string[], user: DaemonUser) {
    this.#command = command
    this.#user = user
  }

  launch(files: VolumeFiles): Promise<void> {
    this.#kill(files)
    const [program = '', ...args] = this.#command
    const started = Promise.withResolvers<undefined>()
    const child = spawn(program, [...args, files.run], {
      cwd: '/',
      detached: true,
      /* both are the driver's log; its stdout ends with it */
      stdio: ['ignore', process.stderr.fd, process.stderr.fd],
      env: { ...process.env, HOME: files.state },
      ...this.#user,
    })
    child.once('spawn', () => started.resolve(undefined))
    child.once('error', started.reject)
    child.unref()
    if (child.pid !== undefined)
      writeFileSync(join(files.run, pidFile), `${child.pid} ${startOf(child.pid)}\n`)
    return started.promise
  }

  isGone(files: VolumeFiles): Promise<boolean> {
    const { pid, start } = writtenDown(files)
    return Promise.resolve(pid === 0 || startOf(pid) !== start)
  }

  describe(): Promise<undefined> {
    return Promise.resolve(undefined)
  }

  stop(files: VolumeFiles): Promise<void> {
    this.#kill(files)
    return Promise.resolve()
  }

  #kill(files: VolumeFiles): void {
    const { pid, start } = writtenDown(files)
    rmSync(join(files.run, pidFile), { force: true })
    /* the number may have been given to something else */
    if (pid === 0 || startOf(pid) !== start) return
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      /* it has ended meanwhile */
    }
  }
}

/** 0: none was. */
function writtenDown({ run }: VolumeFiles): { readonly pid: number; readonly start: string } {
  const [pid = '', start = ''] = readText(join(run, pidFile)).trim().split(' ')
  return { pid: Number(pid), start }
}

/** When a process began, in ticks since the machine did; '' when there is none, or it is dead and nobody has asked. */
function startOf(pid: number): string {
  const stat = readText(`/proc/${pid}/stat`)
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields[0] === 'Z' ? '' : (fields[19] ?? '')
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
