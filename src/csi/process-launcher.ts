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

  describe(): Promise<undefined> {
    return Promise.resolve(undefined)
  }

  stop(files: VolumeFiles): Promise<void> {
    this.#kill(files)
    return Promise.resolve()
  }

  #kill(files: VolumeFiles): void {
    const file = join(files.run, pidFile)
    const [pid = '', start = ''] = readText(file).trim().split(' ')
    rmSync(file, { force: true })
    /* the number may have been given to something else */
    if (pid === '' || startOf(Number(pid)) !== start) return
    try {
      process.kill(Number(pid), 'SIGKILL')
    } catch {
      /* it has ended meanwhile */
    }
  }
}

/** When a process began, in ticks since the machine did; '' when there is none. */
function startOf(pid: number): string {
  const stat = readText(`/proc/${pid}/stat`)
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
