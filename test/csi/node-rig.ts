/**
 * A node with the driver on it, as the kubelet would use it: a service, a driver in a process of its own that starts the
 * daemons of its volumes, and programs that work in them. Layer: test.
 *
 * Invariant: whatever a test does to driver and daemons, neither a process nor a mount is left at its end.
 */
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { tokenAudience } from '../../src/csi/volume-attributes.ts'
import type { Target } from '../../src/csi/volume-files.ts'
import { parseMountTable } from '../../src/fuse/mount-table.ts'
import { agent, session, startTestEmulator, type TestEmulator } from '../emulator-server.ts'
import { type Ended, type Running, start } from '../mount/programs.ts'
import { mountCapability, remoteService, temporaryDirectory } from './rig.ts'

const entry = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const lookAgainMs = 20
const giveUpMs = 30_000

export const rootWithFuse = {
  skip:
    process.getuid?.() !== 0 ? 'only root mounts for others' : !fs.existsSync('/dev/fuse') && 'no /dev/fuse',
}

/** Whether the program can be started by this user, wherever the checkout lies. */
export function canRunProgram(id: number): boolean {
  const user = process.getuid?.() === 0 ? { uid: id, gid: id } : {}
  return spawnSync(process.execPath, [entry, '--version'], { ...user, cwd: '/' }).status === 0
}

export interface Asked {
  /** A name for the Pod's directory, and for the Pod. */
  readonly pod: string
  readonly token?: string
  /** What the kubelet gives of the service account, instead of a secret with a token. */
  readonly assertion?: string
  readonly isolationKey?: string
  readonly serviceAccount?: string
  readonly attributes?: Readonly<Record<string, string>>
  readonly fsGroup?: string
  readonly deadlineMs?: number
}

export class Node {
  readonly emulator: TestEmulator
  readonly directory: string
  /** Of the driver and its daemons. */
  readonly environment: Record<string, string> = {}
  readonly #t: Test
  readonly #options: readonly string[]
  #driver: Running | undefined
  #call: ((rpc: string, request: object, options?: { deadlineMs?: number }) => Promise<object>) | undefined

  /** With a `name` its directory is called so, and the kubelet's is a link to another. */
  constructor(t: Test, emulator: TestEmulator, options: readonly string[], name?: string) {
    this.#t = t
    this.emulator = emulator
    this.directory = fs.realpathSync(temporaryDirectory(t))
    this.#options = options
    if (name !== undefined) {
      this.directory = join(this.directory, name)
      fs.mkdirSync(join(this.directory, 'disk'), { recursive: true })
      fs.symlinkSync('disk', join(this.directory, 'kubelet'))
    }
    t.teardown(() => this.#cleanUp())
  }

  get logFile(): string {
    return join(this.directory, 'driver.log')
  }

  get #socket(): string {
    return join(this.directory, 'kubelet', 'plugins', 'csi.mount-session', 'csi.sock')
  }

  #command(): readonly string[] {
    const at = (name: string): string => join(this.directory, name)
    const directories = ['--kubelet-dir', at('kubelet'), '--run-dir', at('run'), '--state-dir', at('state')]
    const options = [
      '--in-process',
      '--no-registration',
      '--node',
      'node1',
      '--user',
      '0:0',
      ...this.#options,
    ]
    return [process.execPath, entry, 'csi', ...directories, ...options]
  }

  /** How one ends that is started beside it. */
  async anotherDriver(): Promise<Ended> {
    const [program = '', ...args] = this.#command()
    return start(program, args).ended
  }

  async startDriver(): Promise<void> {
    const at = (name: string): string => join(this.directory, name)
    const command = this.#command()
    /* stderr is the daemons' too, who outlive it */
    const driver = start('/bin/sh', ['-c', `exec "$@" 2>>'${this.logFile}'`, 'sh', ...command], {
      limitMs: 3_600_000,
      env: { ...process.env, HOME: at('home'), ...this.environment },
    })
    this.#driver = driver
    await driver.until((said) => said.includes('\n'))
    this.#call ??= remoteService(this.#t, this.#socket, { proto: 'csi.proto', name: 'csi.v1.Node' }).call
  }

  get driver(): number {
    return this.#driver?.child.pid ?? 0
  }

  /** Of the driver alone, with SIGKILL by default. */
  async endDriver(signal: NodeJS.Signals = 'SIGKILL'): Promise<Ended> {
    const driver = this.#driver
    if (driver === undefined) throw new Error('there is no driver')
    process.kill(driver.child.pid ?? 0, signal)
    return driver.ended
  }

  target(pod: string): string {
    return join(this.directory, 'kubelet', 'pods', pod, 'volumes', 'session', 'mount')
  }

  publish({
    pod,
    token,
    assertion,
    isolationKey,
    serviceAccount = 'default',
    attributes = {},
    fsGroup = '',
    deadlineMs = giveUpMs,
  }: Asked): Promise<object> {
    const path = this.target(pod)
    fs.mkdirSync(join(path, '..'), { recursive: true })
    const secrets = {
      ...(assertion === undefined ? { token: token ?? this.emulator.token } : {}),
      ...(isolationKey === undefined ? {} : { isolationKey }),
    }
    const told = {
      'pod.name': pod,
      'pod.namespace': 'team',
      'pod.uid': `uid-${pod}`,
      'serviceAccount.name': serviceAccount,
      ...(assertion === undefined
        ? {}
        : { 'serviceAccount.tokens': JSON.stringify({ [tokenAudience]: { token: assertion } }) }),
    }
    const podInfo = Object.fromEntries(
      Object.entries(told).map(([name, value]) => [`csi.storage.k8s.io/${name}`, value]),
    )
    return this.#ask(
      'NodePublishVolume',
      {
        volumeId: `volume-of-${pod}`,
        targetPath: path,
        volumeCapability: mountCapability({ volumeMountGroup: fsGroup }),
        secrets,
        volumeContext: { endpoint: this.emulator.endpoint, agent, session, ...podInfo, ...attributes },
      },
      deadlineMs,
    )
  }

  unpublish(pod: string): Promise<object> {
    return this.#ask(
      'NodeUnpublishVolume',
      { volumeId: `volume-of-${pod}`, targetPath: this.target(pod) },
      60_000,
    )
  }

  async #ask(rpc: string, request: object, withinMs: number): Promise<object> {
    if (this.#call === undefined) throw new Error('there is no driver')
    return this.#call(rpc, request, { deadlineMs: Date.now() + withinMs })
  }

  /** A shell in the volume of a Pod. */
  shell(pod: string, script: string, limitMs = 120_000): Running {
    return start('/bin/bash', ['-c', `cd '${this.target(pod)}' && ${script}`], { limitMs })
  }

  /** What it says; fails with what it complains of. */
  async run(pod: string, script: string): Promise<string> {
    const { code, stdout, stderr } = await this.shell(pod, script).ended
    if (code !== 0) throw new Error(`${script} ended with ${code}: ${stderr}`)
    return stdout
  }

  /** The daemons that live. */
  daemons(): readonly number[] {
    return fs
      .globSync(join(this.directory, 'run', '*', 'daemon.pid'))
      .map((file) => Number(fs.readFileSync(file, 'utf8').split(' ')[0]))
      .filter((pid) => isAlive(pid))
  }

  /** The sockets at which daemons hold a mount out to the next driver, by inode: each daemon has another. */
  offers(): readonly string[] {
    const table = fs.readFileSync('/proc/net/unix', 'utf8').split('\n')
    const listening = table.map((line) => line.split(/ +/)).filter(([, , , , , state]) => state === '01')
    return listening
      .filter(([, , , , , , , path]) => path?.startsWith(`${this.directory}/run/`) === true)
      .filter(([, , , , , , , path]) => path?.endsWith('daemon.sock') === true)
      .map(([, , , , , , inode = '']) => inode)
  }

  /** The places of volumes that the driver has written down. */
  targets(): readonly Target[] {
    return fs
      .globSync(join(this.directory, 'run', '*', 'targets', '*.json'))
      .map((file) => JSON.parse(fs.readFileSync(file, 'utf8')) as Target)
  }

  /** Mounts below the node's directory. */
  mounts(): readonly string[] {
    return parseMountTable(fs.readFileSync('/proc/self/mountinfo', 'utf8'))
      .map(({ directory }) => directory)
      .filter((place) => place.startsWith(this.directory))
  }

  log(): string {
    return fs.readFileSync(this.logFile, 'utf8')
  }

  #cleanUp(): void {
    for (const pid of [this.#driver?.child.pid ?? 0, ...this.daemons()])
      if (pid > 0 && isAlive(pid)) process.kill(pid, 'SIGKILL')
    for (const place of this.mounts()) spawnSync('umount', ['--lazy', place])
  }
}

/** A driver with a service; `options` are of its command line. */
export async function startNode(t: Test, options: readonly string[] = [], name?: string): Promise<Node> {
  const node = new Node(t, await startTestEmulator(t), options, name)
  await node.startDriver()
  return node
}

export async function eventually(condition: () => boolean, what: string): Promise<void> {
  const until = systemClock.now() + giveUpMs
  while (!condition()) {
    if (systemClock.now() > until) throw new Error(`it did not come to pass: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, lookAgainMs))
  }
}

/** A zombie does not. */
export function isAlive(pid: number): boolean {
  try {
    return !/\) Z /.test(fs.readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}

/** Writes and reads back without end, until there is a file `stop`: says each round, and what went wrong. */
export const load = `i=0
while [ ! -e "$STOP" ]; do
  i=$((i + 1)); file=file-$((i % 10))
  seq $i $((i + 200)) > $file || { echo "writing failed in round $i"; exit 1; }
  [ "$(cat $file)" = "$(seq $i $((i + 200)))" ] || { echo "round $i read something else"; exit 1; }
  echo "round $i"
done; echo done`
