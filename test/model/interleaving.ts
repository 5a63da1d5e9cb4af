/**
 * Several callers of one filesystem at once, their calls and those to the service let go on in a random order,
 * and the question whether what they were told fits together. Layer: tests.
 *
 * Invariant: the same plan and seed make the same history, as far as the disk allows.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { FilesystemError } from '../../src/filesystem/errors.ts'
import { Filesystem } from '../../src/filesystem/filesystem.ts'
import type { Caller, HandleId, NodeId } from '../../src/filesystem/front-end.ts'
import { errnoByReason } from '../../src/fuse/errno.ts'
import { silentLogger } from '../../src/log.ts'
import type { WriteBack } from '../../src/write-back/write-back.ts'
import { filesystemOptions } from '../../src/mount/session-filesystem.ts'
import { defaultValues } from '../../src/options/table.ts'
import { assembleOver } from '../assembly.ts'
import { MemoryFiles } from '../contract/memory-files.ts'
import { FakeClock } from '../fake-clock.ts'
import { flags } from '../filesystem/rig.ts'
import { randomFrom, type Random } from '../logs/random.ts'
import { quiet } from '../write-back/rig.ts'
import { type Call, type Event, explain, show, stateOf, type Where } from './linearizable.ts'
import { longestWaitMs, PassingTime } from './passing-time.ts'
import { ScheduledFiles } from './scheduled-files.ts'

export interface Plan {
  /** What is on the service before; null is a directory. */
  readonly tree: Readonly<Record<string, string | null>>
  /** For each caller, what it does. */
  readonly callers: readonly (readonly Call[])[]
  readonly service: { readonly modified: 'zero' | 'real'; readonly mkdir: boolean; readonly pageSize: number }
  readonly ttlMs: number
  readonly sync: boolean
  /** Whether calls may be interrupted. */
  readonly interrupts: boolean
}

interface Started {
  readonly fs: Filesystem
  readonly changes: WriteBack
}

/** undefined: it all fits together. */
export async function interleave(plan: Plan, seed: number): Promise<string | undefined> {
  const run = new Interleaving(plan, randomFrom(seed))
  try {
    return await run.failure()
  } catch (error) {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return `${run.events.map(show).join('\n')}\n${reason}\nwaiting: ${run.waiting()}`
  } finally {
    await run.close()
  }
}

class Interleaving {
  readonly events: Event[] = []
  readonly #plan: Plan
  readonly #random: Random
  readonly #directory = mkdtempSync(join(tmpdir(), 'interleaving-'))
  readonly #clock = new FakeClock()
  readonly #service: MemoryFiles
  readonly #files: ScheduledFiles
  readonly #time: PassingTime
  readonly #places = new Map<Where, NodeId>()
  readonly #handles = new Map<number, HandleId>()
  readonly #found = new Map<number, NodeId>()
  /** Calls that have no answer yet. */
  readonly #pending = new Map<number, AbortController>()
  #started: Started | undefined
  #now = 0

  constructor(plan: Plan, random: Random) {
    this.#plan = plan
    this.#random = random
    this.#service = new MemoryFiles({ clock: this.#clock, ...plan.service })
    this.#files = new ScheduledFiles(this.#service)
    this.#time = new PassingTime(this.#clock, this.#service)
    for (const [path, text] of Object.entries(plan.tree))
      if (text === null) this.#service.putDirectory(path)
      else this.#service.put(path, text)
  }

  waiting(): string {
    return this.#files.waiting.map(({ what }) => what).join(', ')
  }

  async close(): Promise<void> {
    this.#files.open()
    for (const controller of this.#pending.values()) controller.abort(interruption())
    await this.#started?.changes.close()
    rmSync(this.#directory, { recursive: true, force: true })
  }

  async failure(): Promise<string | undefined> {
    this.#clock.advance(10_000)
    this.#files.isOpen = true
    await this.#start()
    await this.#findPlaces()
    if (this.#random(2) === 0) this.#clock.advance(5000)
    this.#files.isOpen = false
    await this.#race()
    this.#files.open()
    const tree = await this.#time.soon(this.#tree())
    this.#note({ do: 'tree' }, this.#plan.callers.length, this.#now++, tree)
    const begin = stateOf(this.#plan.tree)
    const why = explain(begin, this.events)
    if (why !== undefined) return why
    await this.#time.soon(this.#changes.drain(new AbortController().signal))
    const remote = this.#remoteTree()
    if (remote !== tree) return `${this.#history()}\non the service:\n${remote}\ninstead of:\n${tree}`
    await this.#changes.close()
    await this.#start()
    const again = await this.#time.soon(this.#tree())
    return again === tree ? undefined : `${this.#history()}\nafter a restart:\n${again}\ninstead of:\n${tree}`
  }

  async #start(): Promise<void> {
    const [directory, files, clock] = [this.#directory, this.#files, this.#clock]
    const { ttlMs, sync } = this.#plan
    const { listings, contents, changes } = await assembleOver({
      ...{ directory, files, clock, ttlMs, timeoutMs: longestWaitMs },
    })
    const options = filesystemOptions({ ...defaultValues(), ttlMs, sync, uid: 1000, gid: 1000 }, 0)
    const fs = new Filesystem({ listings, contents, changes, clock, logger: silentLogger }, options)
    this.#started = { fs, changes }
  }

  get #fs(): Filesystem {
    if (this.#started === undefined) throw new Error('not started')
    return this.#started.fs
  }

  get #changes(): WriteBack {
    if (this.#started === undefined) throw new Error('not started')
    return this.#started.changes
  }

  #history(): string {
    return this.events.map(show).join('\n')
  }

  async #findPlaces(): Promise<void> {
    this.#places.set('root', 1)
    for (const place of ['p', 'q'] as const) {
      const { node } = await this.#time.soon(Promise.resolve(this.#fs.lookup(1, place, nobody)))
      if (node !== 0) this.#places.set(place, node)
    }
  }

  /** Until every caller has done all it has to. */
  async #race(): Promise<void> {
    const left = this.#plan.callers.map((calls) => [...calls])
    const busy = new Set<number>()
    const begin = (by: number): void => {
      const call = left[by]?.shift()
      if (call === undefined) return
      busy.add(by)
      void this.#make(call, by).finally(() => busy.delete(by))
    }
    const limit = this.#clock.now() + longestWaitMs
    for (;;) {
      const idle = left.flatMap((calls, by) => (calls.length > 0 && !busy.has(by) ? [by] : []))
      if (idle.length === 0 && busy.size === 0) return
      if (this.#clock.now() > limit) throw new Error('it never answers')
      const { waiting } = this.#files
      const choice = this.#random(10)
      if (choice < 4 && idle.length > 0) {
        begin(idle[this.#random(idle.length)] ?? 0)
        if (this.#random(3) === 0) for (const by of idle) if (!busy.has(by)) begin(by)
      } else if (choice < 8 && waiting.length > 0) {
        const count = this.#random(4) === 0 ? waiting.length : 1
        for (let at = 0; at < count; at++) this.#letOneGoOn()
      } else if (choice === 8 && this.#plan.interrupts && this.#pending.size > 0) {
        const pending = [...this.#pending.values()]
        if (this.#random(4) === 0) pending[this.#random(pending.length)]?.abort(interruption())
      } else if (choice === 9) {
        this.#clock.advance([1, 100, 500, 1000, 2001][this.#random(5)] ?? 1)
      } else if (idle.length === 0 && waiting.length === 0) {
        await quiet()
        const { nextIn } = this.#clock
        if (busy.size === 0 || this.#files.waiting.length > 0) continue
        if (nextIn === undefined) throw new Error('it never answers')
        this.#clock.advance(nextIn)
      }
      if (this.#random(5) > 0) await quiet()
      else await new Promise((resolve) => setImmediate(resolve))
    }
  }

  #letOneGoOn(): void {
    const { waiting } = this.#files
    const [next] = waiting.splice(this.#random(waiting.length), 1)
    next?.goOn()
  }

  async #make(call: Call, by: number): Promise<void> {
    const begun = this.#now++
    const controller = new AbortController()
    this.#pending.set(begun, controller)
    const caller: Caller = {
      uid: 1000,
      gid: 1000,
      pid: by,
      signal: controller.signal,
      request: 2,
      resent: false,
    }
    try {
      const answer = await this.#do(call, caller)
      if (answer !== undefined) this.#note(call, by, begun, answer[0], answer[1])
    } catch (error) {
      const node = call.do === 'open' ? this.#found.get(call.found) : undefined
      const reason = error instanceof FilesystemError ? error.reason : undefined
      if (reason === undefined || reason === 'internal' || errnoNames.get(errnoByReason[reason]) === 'EIO') {
        const { stack } = error as Error
        this.#note(call, by, begun, `${reason ?? 'no error of ours'} ${stack ?? ''}`, node)
      } else this.#note(call, by, begun, errnoNames.get(errnoByReason[reason]) ?? reason, node)
    } finally {
      this.#pending.delete(begun)
    }
  }

  #note(call: Call, by: number, begun: number, outcome: string, node?: number): void {
    this.events.push({ call, by, begun, ended: this.#now++, outcome, node })
  }

  /** undefined: it has nothing to work on. */
  async #do(call: Call, caller: Caller): Promise<readonly [outcome: string, node?: number] | undefined> {
    const fs = this.#fs
    const place = 'in' in call ? this.#places.get(call.in) : undefined
    if ('in' in call && place === undefined) return undefined
    const at = place ?? 0
    const handle = 'handle' in call ? this.#handles.get(call.handle) : undefined
    switch (call.do) {
      case 'lookup': {
        const { node, attributes } = await fs.lookup(at, call.name, caller)
        if (attributes === undefined) return ['ENOENT']
        this.#found.set(call.as, node)
        return [attributes.kind === 'file' ? `file ${attributes.size}` : 'directory', node]
      }
      case 'open': {
        const node = this.#found.get(call.found)
        if (node === undefined) return undefined
        const how = call.truncate ? flags('read', 'write', 'truncate') : flags('read', 'write')
        const { handle } = await fs.open(node, how, caller)
        this.#handles.set(call.handle, handle)
        this.#found.set(call.handle, node)
        return ['ok', node]
      }
      case 'create': {
        const more =
          call.how === 'open' ? [] : ([call.how === 'truncate' ? 'truncate' : 'exclusive'] as const)
        const request = { name: call.name, flags: flags('read', 'write', ...more), mode: 0o644 }
        const made = await fs.create(at, request, caller)
        this.#handles.set(call.handle, made.open.handle)
        this.#found.set(call.handle, made.entry.node)
        return ['ok', made.entry.node]
      }
      case 'close':
        if (handle === undefined) return undefined
        this.#handles.delete(call.handle)
        try {
          await fs.flush(handle, caller)
        } finally {
          await fs.release(handle)
        }
        return ['ok']
      case 'fsync':
        if (handle === undefined) return undefined
        await fs.synchronize(handle, caller)
        return ['ok']
      case 'fstat': {
        const node = this.#found.get(call.handle)
        if (handle === undefined || node === undefined) return undefined
        return [`file ${(await fs.getAttributes(node, handle, caller)).attributes.size}`]
      }
      case 'read': {
        if (handle === undefined) return undefined
        return [textIn(await fs.read(handle, 0, 1 << 20, caller))]
      }
      case 'write': {
        if (handle === undefined) return undefined
        const offset = call.at === 'end' ? 0 : call.at
        const append = call.at === 'end'
        await fs.write({ handle, offset, data: Buffer.from(call.text), append }, caller)
        return ['ok']
      }
      case 'resize': {
        const node = this.#found.get(call.handle)
        if (handle === undefined || node === undefined) return undefined
        await fs.setAttributes(node, handle, { size: call.size }, caller)
        return ['ok']
      }
      case 'unlink':
        await fs.unlink(at, call.name, caller)
        return ['ok']
      case 'rmdir':
        await fs.removeDirectory(at, call.name, caller)
        return ['ok']
      case 'mkdir':
        return ['ok', (await fs.makeDirectory(at, call.name, 0o755, caller)).node]
      case 'rename': {
        const to = this.#places.get(call.to)
        if (to === undefined) return undefined
        const { name, toName: newName, noReplace } = call
        await fs.rename(at, { name, newParent: to, newName, noReplace }, caller)
        return ['ok']
      }
      case 'list':
        return [['names', ...(await this.#names(at, caller))].join(' ')]
      case 'tree':
        return [await this.#tree()]
    }
  }

  async #names(node: NodeId, caller: Caller): Promise<string[]> {
    const handle = await this.#fs.openDirectory(node)
    try {
      return [...(await this.#fs.readDirectory(handle, 0, caller))]
        .filter(({ name }) => name !== '.' && name !== '..')
        .map(({ name, kind }) => (kind === 'file' ? name : `${name}/`))
        .sort()
    } finally {
      this.#fs.releaseDirectory(handle)
    }
  }

  async #tree(): Promise<string> {
    const lines: string[] = []
    const into = async (directory: NodeId, above: string): Promise<void> => {
      for (const shown of await this.#names(directory, nobody)) {
        const name = shown.replace('/', '')
        const { node, attributes } = await this.#fs.lookup(directory, name, nobody)
        if (attributes === undefined) throw new Error(`${above}${name} is listed and not there`)
        if (attributes.kind === 'directory') {
          lines.push(`${above}${name}/`)
          await into(node, `${above}${name}/`)
          continue
        }
        const { handle } = await this.#fs.open(node, flags('read'), nobody)
        lines.push(`${above}${name} ${textIn(await this.#fs.read(handle, 0, 1 << 20, nobody))}`)
        await this.#fs.release(handle)
      }
    }
    await into(1, '')
    return lines.sort().join('\n')
  }

  #remoteTree(): string {
    return this.#service
      .paths()
      .map((path) =>
        path.endsWith('/') ? path : `${path} ${textIn(this.#service.bytes(path) ?? new Uint8Array())}`,
      )
      .sort()
      .join('\n')
  }
}

const nobody: Caller = {
  uid: 1000,
  gid: 1000,
  pid: 1,
  signal: new AbortController().signal,
  request: 2,
  resent: false,
}

/** As `linearizable.ts` writes it: what was never written is shown as dots. */
function textIn(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1').replaceAll('\0', '.')
}

function interruption(): FilesystemError {
  return new FilesystemError('interrupted', 'interrupted')
}

const errnoNames = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]))
