/**
 * A session whose daemon is killed and started again, and the model of what must be in it. Layer: tests.
 *
 * Invariant: the model is what was answered, with or without the one operation that was under way at a kill;
 * which of the two is decided by the first look at the tree, and then for good.
 */
import * as fs from 'node:fs'
import type { Test } from 'tap'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { StatusReport } from '../../src/control/protocol.ts'
import type { EmulatorOptions } from '../../src/emulator/emulator.ts'
import { startTestEmulator, type TestEmulator } from '../emulator-server.ts'
import { eventually, type Ended, type Running } from '../mount/programs.ts'
import {
  describe,
  type Environment,
  isRunning,
  main,
  type Teardown,
  workplace,
  type Workplace,
} from '../mount/rig.ts'
import { isSealed, journalsIn } from './journals.ts'
import { after, possible, sorted, type Operation, type Tree } from './operations.ts'
import { damageSpooled, spooledIn, spooledText } from '../write-back/spooled-files.ts'

const worker = join(import.meta.dirname, 'worker.ts')

export class MortalMount {
  readonly emulator: TestEmulator
  readonly work: Workplace
  readonly directory: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** What may be there: without and with the operation that was under way at each kill since the last look. */
  #candidates: Tree[] = [new Map<string, string | null>()]
  pid = 0

  static async start(t: Teardown, options: Partial<EmulatorOptions> = {}): Promise<MortalMount> {
    const emulator = await startTestEmulator(t, options)
    return new MortalMount(emulator, workplace(t))
  }

  private constructor(emulator: TestEmulator, work: Workplace) {
    this.emulator = emulator
    this.work = work
    this.directory = work.mountPoint()
    this.env = {
      ...work.env,
      FOUNDRY_PROJECT_ENDPOINT: emulator.endpoint,
      MOUNT_SESSION_TOKEN: emulator.token,
    }
  }

  /** Puts a file of the agent's there, before anything is mounted. */
  seed(path: string, text: string): void {
    const file = join(this.emulator.home, path)
    fs.mkdirSync(join(file, '..'), { recursive: true })
    fs.writeFileSync(file, text)
    for (const tree of this.#candidates) {
      for (let above = path; above.includes('/');) {
        above = above.slice(0, above.lastIndexOf('/'))
        tree.set(above, null)
      }
      tree.set(path, text)
    }
  }

  command(args: readonly string[], more: Environment = {}, limitMs?: number): Promise<Ended> {
    return this.work.command(args, { env: { ...this.env, ...more }, limitMs })
  }

  startMount(failpoint?: string): Running {
    const log = join(this.work.root, 'daemon.log')
    const env = failpoint === undefined ? this.env : { ...this.env, MOUNT_SESSION_FAILPOINT: failpoint }
    return this.work.startCommand(
      ['--log-file', log, '--restart', 'off', this.emulator.target, this.directory],
      { env },
    )
  }

  /** Rejects unless it is mounted. */
  async mount(failpoint?: string): Promise<void> {
    const ended = await this.startMount(failpoint).ended
    if (ended.code !== 0) throw new Error(describe(ended))
    await this.noteDaemon()
  }

  async noteDaemon(): Promise<void> {
    this.pid = (await this.status()).pid
    this.work.owns(this.pid)
  }

  async status(): Promise<StatusReport> {
    const { stdout } = await this.command(['status', '--json', this.directory])
    return JSON.parse(stdout) as StatusReport
  }

  /** Whether the journal says what the spool must hold of a file. */
  isSealed(path: string): boolean {
    return isSealed(this.work.root, path)
  }

  /** As after a power cut: rows of another boot, and a spool that did not come to the disk as it was. */
  damage(how: 'short' | 'zeroed'): void {
    for (const file of journalsIn(this.work.root)) {
      const database = new DatabaseSync(file)
      database.exec("UPDATE paths SET boot = 'another'")
      database.close()
      const directory = join(file, '..')
      for (const name of spooledIn(directory)) {
        const text = spooledText(directory, name)
        damageSpooled(directory, name, how === 'short' ? text.slice(0, 2) : '\0'.repeat(text.length))
      }
    }
  }

  /** Makes these changes, which must all be answered. */
  async perform(t: Pick<Test, 'match'>, operations: readonly Operation[]): Promise<void> {
    const program = this.begin(operations)
    t.match(await program.until((text) => text.includes('!')), '!')
    program.child.kill('SIGKILL')
    await program.ended
    this.take(operations, program)
  }

  /** Starts a program that makes these changes. */
  begin(operations: readonly Operation[]): Running {
    const file = join(this.work.root, 'operations.json')
    fs.writeFileSync(file, JSON.stringify(operations))
    return this.work.start('sh', [
      '-c',
      'exec "$0" "$1" "$2" < "$3"',
      process.execPath,
      worker,
      this.directory,
      file,
    ])
  }

  /** Takes into the model what a program was answered, and what it may have been about to do. */
  take(operations: readonly Operation[], program: Running): void {
    const answered = program.stdout().replace('!', '').length
    const next = operations[answered]
    const without = operations.slice(0, answered).reduce<Tree[]>(possible, this.#candidates)
    const withNext = next && next.do !== 'close' ? without.map((tree) => after(tree, next)) : []
    this.#candidates = [...without, ...withNext]
  }

  kill(): Promise<boolean> {
    const pid = this.findDaemon()
    if (pid !== undefined) {
      this.pid = pid
      process.kill(pid, 'SIGKILL')
    }
    return this.died()
  }

  /** The daemon of this mount point, also one that does not answer yet. */
  findDaemon(): number | undefined {
    for (const name of fs.readdirSync('/proc')) {
      if (!/^\d+$/.test(name) || !isRunning(Number(name))) continue
      try {
        const words = fs.readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0')
        const parent = /^PPid:\t(\d+)$/m.exec(fs.readFileSync(`/proc/${name}/status`, 'utf8'))?.[1]
        const isOurs = [main, this.emulator.target, this.directory].every((word) => words.includes(word))
        // the command that starts it has the same words, and is our child
        if (isOurs && parent !== String(process.pid)) return Number(name)
      } catch {
        /* it has ended */
      }
    }
    return undefined
  }

  died(): Promise<boolean> {
    return eventually(() => !isRunning(this.pid))
  }

  /** What the mount shows, read by a program; undefined when the daemon died under it. */
  async shown(below = ''): Promise<Record<string, string | null> | undefined> {
    const { code, stdout, stderr } = await this.work.start(process.execPath, [
      join(import.meta.dirname, 'show.ts'),
      this.directory,
      below,
    ]).ended
    if (code === 0) return sorted(new Map(JSON.parse(stdout) as [string, string | null][]))
    if (await eventually(() => !isRunning(this.pid), 1000)) return undefined
    throw new Error(stderr)
  }

  /** Compares what is found with the model, which is decided by it where it may be either way. */
  compare(t: Pick<Test, 'same'>, found: Record<string, string | null>, why: string): void {
    const text = JSON.stringify(found)
    const tree = this.#candidates.find((candidate) => JSON.stringify(sorted(candidate)) === text)
    this.#candidates = [tree ?? (this.#candidates[0] as Tree)]
    t.same(found, sorted(this.#candidates[0] as Tree), why)
  }

  /** Deletes the session on the service and makes one of the same name, a second later. */
  async makeSessionAgain(): Promise<void> {
    const [agent = '', session = ''] = this.emulator.target.split('/')
    await this.emulator.deleteSession(agent, session)
    await new Promise((resolve) => setTimeout(resolve, 1000))
    const url = `${this.emulator.endpoint}/agents/${agent}/endpoint/sessions?api-version=v1`
    const made = await fetch(url, {
      method: 'POST',
      headers: { authorization: `Bearer ${this.emulator.token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ agent_session_id: session }),
    })
    if (!made.ok) throw new Error(await made.text())
    this.#candidates = [new Map<string, string | null>()]
  }

  /** The tree, where nothing is undecided. */
  get decided(): Tree {
    if (this.#candidates.length > 1) throw new Error('look at the tree first')
    return this.#candidates[0] as Tree
  }

  /** What the service has. */
  served(): Record<string, string | null> {
    const tree: Tree = new Map()
    const [agent = '', session = ''] = this.emulator.target.split('/')
    const home = this.emulator.filesDirectory(agent, session)
    for (const entry of fs.readdirSync(home, { recursive: true, withFileTypes: true })) {
      const location = join(entry.parentPath, entry.name)
      const path = location.slice(home.length + 1)
      tree.set(path, entry.isDirectory() ? null : fs.readFileSync(location, 'latin1'))
    }
    return sorted(tree)
  }
}
