/**
 * A session that nobody uses is closed, and goes on where it was when somebody goes in again. On a clock that the test
 * moves, without a kernel: what it would ask is asked here. Layer: test.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { SessionReport } from '../../src/control/protocol.ts'
import type { Attributes, NodeId } from '../../src/filesystem/front-end.ts'
import { silentLogger } from '../../src/log.ts'
import { AgentFilesystem } from '../../src/mount/agent-filesystem.ts'
import { type KernelStateHeader, kernelStateVersion, readKernelState } from '../../src/mount/kernel-state.ts'
import { KernelState } from '../../src/mount/kernel-state-writer.ts'
import type { KernelMemory, RecordedFrontEnd } from '../../src/mount/mountable.ts'
import type { AgentMountOptions } from '../../src/options/mount-options.ts'
import { defaultValues } from '../../src/options/table.ts'
import { sessionDirectories } from '../../src/session/directories.ts'
import { openAgent } from '../../src/session/open-agent.ts'
import { isSessionHeld } from '../../src/session/session-lock.ts'
import { startTestEmulator, type TestEmulator } from '../emulator-server.ts'
import { FakeClock } from '../fake-clock.ts'
import { caller, flags, readOnly, reasonOf } from '../filesystem/rig.ts'
import { eventually } from '../mount/programs.ts'
import { workplace, type Workplace } from '../mount/rig.ts'
import { agent, one, other } from './rig.ts'

const minute = 60_000
const root: NodeId = 1

interface Serving {
  readonly files: AgentFilesystem
  readonly front: RecordedFrontEnd
  readonly state: KernelState
}

interface Scene extends Workplace {
  readonly emulator: TestEmulator
  readonly clock: FakeClock
  readonly front: RecordedFrontEnd
  /** Of the session's state and cache on this machine. */
  readonly directories: (session: string) => readonly string[]
  readonly home: (session: string) => string
  readonly report: (session: string) => SessionReport | undefined
  /** What the kernel was told, `NODE NAME` or `NODE`. */
  readonly news: string[]
  readonly node: (path: string) => Promise<NodeId>
  readonly read: (path: string) => Promise<string>
  readonly write: (path: string, text: string) => Promise<void>
  readonly stat: (node: NodeId) => Promise<Attributes>
  /** Another process goes on with the mount. */
  readonly next: () => Promise<void>
  /** Lets `ms` pass, and what then closes by itself be closed. */
  readonly pass: (ms: number) => Promise<void>
  /** Lets time pass until everything of ours is on the service. */
  readonly drained: () => Promise<void>
}

async function scene(t: Test, sessions: readonly string[] = [one, other]): Promise<Scene> {
  const emulator = await startTestEmulator(t, { seed: sessions.map((session) => ({ agent, session })) })
  const { endpoint, token } = emulator
  const work = workplace(t)
  const env = { ...work.env, FOUNDRY_PROJECT_ENDPOINT: endpoint, MOUNT_SESSION_TOKEN: token }
  const roots = {
    stateRoot: join(work.root, 'state', 'mount-session'),
    cacheRoot: join(work.root, 'cache', 'mount-session'),
  }
  const address = { endpoint, agent, isolationKey: undefined, userIdentity: undefined }
  const directory = join(work.root, 'agent')
  const options: AgentMountOptions = {
    ...{ ...defaultValues(), token, ...address, ...roots, directory },
    ...{ session: undefined, subdirectory: undefined },
  }
  const clock = new FakeClock({ wallMs: Date.now() })
  const logger = silentLogger
  const mountedAt = new Date(clock.wallMs()).toISOString()
  const begin = async (remembered?: KernelMemory['remembered']): Promise<Serving> => {
    const opened = await openAgent(options, { logger, isContinued: remembered !== undefined, clock })
    const files = new AgentFilesystem(opened, options, { logger }, () => ({ mountedAt, restarts: [] }))
    t.teardown(() => files.close())
    const header: KernelStateHeader = {
      version: kernelStateVersion,
      directory,
      mountedAt,
      createdAtMs: 0,
      restarts: [],
    }
    const state = new KernelState(files.stateDirectory, header, { clock, logger })
    const front = files.frontEnd(kernelCache, { recordSink: state, remembered })
    if (remembered !== undefined) files.begin()
    return { files, front, state }
  }
  const news: string[] = []
  const kernelCache = {
    invalidateNode: (node: NodeId) => void news.push(String(node)),
    invalidateEntry: (parent: NodeId, name: string) => void news.push(`${parent} ${name}`),
  }
  let serving = await begin()

  const node: Scene['node'] = async (path) => {
    let at = root
    for (const name of path.split('/')) at = (await serving.front.lookup(at, name, caller)).node
    return at
  }
  const readNode = async (id: NodeId): Promise<string> => {
    const { handle } = await serving.front.open(id, readOnly, caller)
    const bytes = Buffer.from(await serving.front.read(handle, 0, 1 << 20, caller)).toString()
    await serving.front.flush(handle, caller)
    await serving.front.release(handle)
    return bytes
  }
  const isAtWork = (): boolean =>
    serving.files.status().paths.length > 0 ||
    serving.files.status().sessions?.some(({ state }) => state === 'opening') === true
  return {
    ...work,
    env,
    emulator,
    clock,
    get front() {
      return serving.front
    },
    next: async () => {
      serving.state.leave()
      await serving.files.close()
      serving = await begin(readKernelState(serving.files.stateDirectory).remembered)
    },
    news,
    node,
    command: (args, given) => work.command(args, { env, ...given }),
    directories: (session) => Object.values(sessionDirectories({ ...address, session }, roots)) as string[],
    home: (session) => emulator.filesDirectory(agent, session),
    report: (session) => serving.files.status().sessions?.find((each) => each.session === session),
    read: async (path) => readNode(await node(path)),
    write: async (path, text) => {
      const [session = '', name = ''] = path.split('/')
      const how = { name, flags: flags('write', 'truncate'), mode: 0o644 }
      const { handle } = (await serving.front.create(await node(session), how, caller)).open
      await serving.front.write({ handle, offset: 0, data: Buffer.from(text), append: false }, caller)
      await serving.front.flush(handle, caller)
      await serving.front.release(handle)
    },
    stat: async (id) => (await serving.front.getAttributes(id, undefined, caller)).attributes,
    pass: async (ms) => {
      clock.advance(ms)
      await new Promise((resolve) => setTimeout(resolve, 50))
    },
    drained: async () => {
      if (!(await eventually(() => (clock.advance(50), !isAtWork())))) throw new Error('it does not end')
    },
  }
}

/** What this process has open of a session. */
function heldOf({ directories }: Scene, session: string): string[] {
  return fs.readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const file = fs.readlinkSync(`/proc/self/fd/${fd}`)
      return directories(session).some((directory) => file.startsWith(`${directory}/`)) ? [file] : []
    } catch {
      return []
    }
  })
}

void t.test(
  'a session that nobody uses for ten minutes holds nothing of this machine any more',
  async (t) => {
    const at = await scene(t)
    const { home, write, pass, drained, report, emulator, directories, command, mountPoint, front, node } = at
    fs.mkdirSync(join(home(one), 'sub'))
    await write(`${one}/ours`, 'ours')
    await node(`${other}/none`)
    await drained()
    t.match(report(one), { state: 'open', paths: 0 })
    t.ok(heldOf(at, one).length > 0)
    await pass(9 * minute)
    t.match(report(one), { state: 'open' }, 'not after nine')
    await node(`${other}/none`)
    await pass(2 * minute)
    t.match(report(one), { state: 'resting' })
    t.match(report(other), { state: 'open' }, 'one that was used meanwhile stays')
    t.strictSame(heldOf(at, one), [])
    t.notOk(isSessionHeld(directories(one)[0] ?? ''), 'it has no lock')
    t.equal(fs.readFileSync(join(home(one), 'ours'), 'utf8'), 'ours')

    const apart = mountPoint('apart')
    const mounting = await command(['--restart', 'off', `${agent}/${one}`, apart])
    t.equal(mounting.code, 0, mounting.stderr)
    t.equal(await reasonOf(node(`${one}/ours`)), 'busy', 'another process has it now')
    t.match(report(one), { state: 'refused', reason: apart })
    t.equal((await command(['unmount', apart])).code, 0)
    emulator.resetCounts()
    await pass(10_001)
    t.equal(await at.read(`${one}/ours`), 'ours')
    t.match(report(one), { state: 'open' })
    t.equal(emulator.counts().getSession, 1)
    t.ok(front.pathOf(await node(`${one}/sub`)))
  },
)

void t.test(
  'what the kernel knows of a session goes on after its rest, and what it forgot is forgotten',
  async (t) => {
    const at = await scene(t)
    const { home, pass, drained, report, front, node, stat } = at
    fs.mkdirSync(join(home(one), 'sub', 'deep'), { recursive: true })
    fs.writeFileSync(join(home(one), 'sub', 'deep', 'file'), 'bytes')
    fs.writeFileSync(join(home(one), 'sub', 'kept'), 'kept bytes')
    const session = await node(one)
    const sub = (await front.lookup(session, 'sub', caller)).node
    const deep = (await front.lookup(sub, 'deep', caller)).node
    const file = (await front.lookup(deep, 'file', caller)).node
    const kept = (await front.lookup(sub, 'kept', caller)).node
    t.equal((await front.lookup(sub, 'kept', caller)).node, kept, 'known twice')
    await at.write(`${one}/ours`, 'ours')
    const ours = await node(`${one}/ours`)
    await drained()
    const before = await Promise.all([sub, deep, file, kept, ours].map(stat))
    await pass(11 * minute)
    t.match(report(one), { state: 'resting' })
    t.equal(front.pathOf(deep), undefined, 'nobody can be asked')
    front.forget(file, 1)
    front.forget(kept, 1)

    /* the kernel goes on with the numbers that it has */
    const { attributes } = await front.getAttributes(deep, undefined, caller)
    t.equal(attributes.inode, before[1]?.inode)
    t.match(report(one), { state: 'open' })
    t.equal(front.pathOf(deep), `${one}/sub/deep`)
    t.equal(front.pathOf(file), undefined, 'what was forgotten meanwhile is')
    t.equal(front.pathOf(kept), `${one}/sub/kept`, 'what was known twice is known once')
    const again = await Promise.all([sub, deep, kept, ours].map(stat))
    const inodes = (each: (Attributes | undefined)[]): unknown[] => each.map((one) => one?.inode)
    t.strictSame(inodes(again), inodes([before[0], before[1], before[3], before[4]]))
    const found = await front.lookup(deep, 'file', caller)
    t.equal(found.attributes?.inode, before[2]?.inode, 'its inode number is the same, whatever its node')
    t.not(found.node, file, 'no number is given out twice')
    t.equal(await at.read(`${one}/sub/deep/file`), 'bytes')
    front.forget(kept, 1)
    t.equal(front.pathOf(kept), undefined)

    /* and once more */
    await pass(11 * minute)
    t.match(report(one), { state: 'resting' })
    t.equal((await front.getAttributes(ours, undefined, caller)).attributes.inode, before[4]?.inode)
    t.equal(await at.read(`${one}/ours`), 'ours')
  },
)

void t.test(
  'what the service has changed while a session rested is seen, and no page of before is kept',
  async (t) => {
    const at = await scene(t)
    const { home, pass, report, front, node, read, news } = at
    const file = join(home(one), 'file')
    fs.writeFileSync(file, 'before')
    t.equal(await read(`${one}/file`), 'before')
    const known = await node(`${one}/file`)
    await pass(11 * minute)
    t.match(report(one), { state: 'resting' })
    fs.writeFileSync(file, 'and after')
    news.length = 0
    const opened = await front.open(known, readOnly, caller)
    const bytes = Buffer.from(await front.read(opened.handle, 0, 100, caller)).toString()
    t.equal(bytes, 'and after')
    t.ok(!opened.keepCache || news.includes(String(known)), 'the kernel is told')
    await front.release(opened.handle)
    t.equal((await at.stat(known)).size, 9)
  },
)

void t.test('a session with an open file, or with changes that wait, does not rest', async (t) => {
  const at = await scene(t)
  const { home, pass, report, front, node, emulator, write, drained } = at
  fs.writeFileSync(join(home(one), 'file'), 'bytes')
  const { handle } = await front.open(await node(`${one}/file`), readOnly, caller)
  const directory = await front.openDirectory(await node(other), caller)
  await pass(30 * minute)
  t.match(report(one), { state: 'open' })
  t.match(report(other), { state: 'open' })
  await front.release(handle)
  front.releaseDirectory(directory)
  const hold = emulator.hold({ verb: 'upload' })
  await write(`${one}/waits`, 'bytes')
  await pass(11 * minute)
  t.match(report(one), { state: 'open', paths: 1 })
  t.match(report(other), { state: 'resting' })
  hold.release()
  await drained()
  t.equal(fs.readFileSync(join(home(one), 'waits'), 'utf8'), 'bytes')
  await pass(11 * minute)
  t.match(report(one), { state: 'resting' })
})

void t.test(
  'who goes in while a session is being closed waits for that, and it is opened again',
  async (t) => {
    const { home, clock, report, front, node, read, pass } = await scene(t)
    fs.mkdirSync(join(home(one), 'sub'))
    fs.writeFileSync(join(home(one), 'sub', 'file'), 'bytes')
    const sub = await node(`${one}/sub`)
    for (let round = 0; round < 3; round++) {
      clock.advance(11 * minute)
      t.match(report(one), { state: 'resting' })
      const found = front.lookup(sub, 'file', caller)
      t.match(report(one), { state: 'opening' })
      t.ok((await found).node)
      t.equal(await read(`${one}/sub/file`), 'bytes')
      await pass(1)
    }
  },
)

void t.test(
  'of many sessions that nobody uses, those used longest ago are closed after a minute',
  async (t) => {
    const sessions = Array.from({ length: 36 }, (_, i) => `session-${String(i).padStart(4, '0')}`)
    const { node, clock, report, pass } = await scene(t, sessions)
    for (const session of sessions) {
      await node(`${session}/none`)
      clock.advance(10)
    }
    const resting = (): string[] => sessions.filter((session) => report(session)?.state === 'resting')
    t.strictSame(resting(), [])
    await pass(2 * minute)
    t.strictSame(resting(), sessions.slice(0, 4))
    await pass(10 * minute)
    t.strictSame(resting(), sessions)
  },
)

void t.test(
  'a session at rest rests on with the next daemon, which knows what the kernel knows',
  async (t) => {
    const at = await scene(t)
    const { home, pass, report, node, next, emulator } = at
    fs.mkdirSync(join(home(one), 'sub'))
    fs.writeFileSync(join(home(one), 'sub', 'file'), 'bytes')
    const sub = await node(`${one}/sub`)
    const { inode } = await at.stat(sub)
    await pass(9 * minute)
    const theirs = await node(`${other}/none`)
    t.equal(theirs, 0)
    await pass(2 * minute)
    t.match(report(one), { state: 'resting' })
    emulator.resetCounts()
    await next()
    t.match(report(one), { state: 'resting' }, 'nobody has gone in')
    t.ok(await eventually(() => report(other)?.state === 'open'), 'what was open is')
    t.equal(emulator.counts().getSession, 0)
    t.equal((await at.stat(sub)).inode, inode)
    t.equal(emulator.counts().getSession, 1)
    t.equal(await at.read(`${one}/sub/file`), 'bytes')
    await next()
    t.ok(await eventually(() => report(one)?.state === 'open'))
    t.equal(at.front.pathOf(sub), `${one}/sub`)
  },
)
