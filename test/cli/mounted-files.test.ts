/**
 * A session that is mounted on this machine is used through its mount, or what waits there is said. The service and
 * the daemon are processes of their own here: this one touches the mount.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { hereOf } from '../../src/cli/live-mount.ts'
import { fromMount } from '../../src/cli/mount-failure.ts'
import { MountedFiles } from '../../src/cli/mounted-files.ts'
import { ServiceError } from '../../src/client/errors.ts'
import { ControlError, type StatusReport } from '../../src/control/protocol.ts'
import { ask } from '../../src/control/control-client.ts'
import { startControlServer } from '../../src/control/control-server.ts'
import { announceMount, listMounts, type MountRecord } from '../../src/control/registry.ts'
import { silentLogger } from '../../src/log.ts'
import { defaultValues } from '../../src/options/table.ts'
import { makeAgentDirectories, makeSessionDirectories } from '../../src/session/directories.ts'
import { takeLock } from '../../src/session/session-lock.ts'
import { type LocalState, localState } from '../../src/cli/sessions/local.ts'
import { everyEntry, readWhole, sessionFilesContract } from '../contract/session-files-contract.ts'
import { MemoryFiles } from '../contract/memory-files.ts'
import { fakeHandlers, leftover, statusReport } from '../control/rig.ts'
import { describe, isMounted, workplace, type Workplace } from '../mount/rig.ts'
import { type Ended, eventually } from '../mount/programs.ts'

const target = 'triage/demo-session'
const maxFileBytes = 2_000_000

interface Scene extends Workplace {
  readonly directory: string
  /** The session's home on the emulator's disk. */
  readonly home: string
  readonly record: MountRecord
  readonly files: MountedFiles
  /** What the mount's own names hide. */
  readonly hidden: MemoryFiles
  readonly address: Parameters<typeof hereOf>[0]
  readonly fault: (rule: object) => Promise<void>
  /** Number of calls of the service so far, by verb. */
  readonly calls: () => Promise<Readonly<Record<string, number>>>
}

async function scene(
  t: Test,
  {
    args = [],
    part,
    whole = false,
  }: { readonly args?: readonly string[]; readonly part?: string; readonly whole?: boolean } = {},
): Promise<Scene> {
  const work = workplace(t)
  const data = join(work.root, 'service')
  const emulator = work.startCommand(
    ['emulator', '--data', data, '--seed', target, '--empty', '--json', '--latency', '5'],
    { limitMs: 120_000 },
  )
  const { endpoint, token } = JSON.parse(await emulator.until((text) => text.includes('\n'))) as Record<
    'endpoint' | 'token',
    string
  >
  const env = { ...work.env, FOUNDRY_PROJECT_ENDPOINT: endpoint, MOUNT_SESSION_TOKEN: token }
  const directory = work.mountPoint()
  const home = join(data, 'agents', 'triage', 'sessions', 'demo-session', 'home')
  if (part !== undefined) mkdirSync(join(home, part))
  const mounted = whole ? 'triage/' : part === undefined ? target : `${target}:${part}`
  const mounting = await work.command(['--restart', 'off', ...args, mounted, directory], { env })
  if (mounting.code !== 0) throw new Error(describe(mounting))
  const stateRoot = join(work.root, 'state', 'mount-session')
  const [record] = listMounts(stateRoot)
  if (record === undefined) throw new Error('no mount was announced')
  work.owns(record.pid)
  const hidden = new MemoryFiles()
  const within = whole ? 'demo-session' : ''
  const files = new MountedFiles(record, { within, maxFileBytes, hidden })
  await files.open()
  t.teardown(() => files.close())
  const before = process.env['XDG_STATE_HOME']
  process.env['XDG_STATE_HOME'] = join(work.root, 'state')
  t.teardown(() => {
    if (before === undefined) delete process.env['XDG_STATE_HOME']
    else process.env['XDG_STATE_HOME'] = before
  })
  const command: Workplace['command'] = (given, options) => work.command(given, { env, ...options })
  return {
    ...work,
    env,
    command,
    directory,
    home,
    record,
    files,
    hidden,
    address: {
      endpoint,
      agent: 'triage',
      session: 'demo-session',
      isolationKey: undefined,
      userIdentity: undefined,
    },
    fault: async (rule) => {
      const answer = await fetch(`${new URL(endpoint).origin}/__emulator/faults`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(rule),
      })
      if (!answer.ok) throw new Error(await answer.text())
    },
    calls: async () => {
      const { stdout } = await command(['status', '--json', directory])
      const { calls } = JSON.parse(stdout) as { calls: Record<string, Record<string, number>> }
      const sum = (of: Record<string, number>): number => Object.values(of).reduce((a, b) => a + b, 0)
      return Object.fromEntries(Object.entries(calls).map(([verb, of]) => [verb, sum(of)]))
    },
  }
}

void t.test('a mount keeps the contract of SessionFiles', async (t) => {
  const { files } = await scene(t)
  await sessionFilesContract(t, { files, base: '', maxFileBytes })
  t.equal(files.waiting, 0)
})

void t.test('a mount of all sessions of an agent keeps the contract of SessionFiles', async (t) => {
  const { files } = await scene(t, { whole: true })
  await sessionFilesContract(t, { files, base: '', maxFileBytes })
  t.equal(files.waiting, 0)
})

void t.test('an upload is one call and on the service when it returns, a removal too', async (t) => {
  const { files, home, calls, directory } = await scene(t)
  await files.upload('notes.txt', Buffer.from('first'))
  t.equal(readFileSync(join(home, 'notes.txt'), 'utf8'), 'first')
  t.equal((await calls())['upload'], 1)
  await files.upload('notes.txt', Buffer.from('second'))
  t.equal(readFileSync(join(home, 'notes.txt'), 'utf8'), 'second')
  t.equal((await calls())['upload'], 2)
  await files.remove('notes.txt')
  t.throws(() => readFileSync(join(home, 'notes.txt')), { code: 'ENOENT' })
  t.match(await calls(), { upload: 2, delete: 1 })
  t.strictSame(
    [...(await everyEntry(files, '')).keys()],
    [],
    `${directory} shows its own names to itself alone`,
  )
})

void t.test('what hides behind the names of the mount is asked of the service', async (t) => {
  const { files, hidden } = await scene(t)
  hidden.put('.logs', 'a file of the agent')
  t.equal((await readWhole(files, '.logs')).toString(), 'a file of the agent')
  await files.upload('.status/x', Buffer.from('1'))
  t.equal(hidden.text('.status/x'), '1')
  await files.remove('.logs')
  t.notOk(hidden.has('.logs'))
})

void t.test('of a part of a session that is mounted only that part is used', async (t) => {
  const { files, hidden, home, address, directory } = await scene(t, { part: 'data' })
  await files.upload('data/in', Buffer.from('the part'))
  t.equal(readFileSync(join(home, 'data', 'in'), 'utf8'), 'the part')
  t.strictSame([...(await everyEntry(files, 'data')).keys()], ['in'])
  await files.upload('database', Buffer.from('beside'))
  t.equal(hidden.text('database'), 'beside')
  t.match(await hereOf(address), { is: 'mounted', mount: { directory, subdirectory: 'data' }, unseen: [] })
  await t.rejects(files.remove('data'), { code: 'conflict' })
})

void t.test('a mounted session is found, by its own endpoint and identity alone', async (t) => {
  const { address, directory } = await scene(t)
  t.match(await hereOf(address), { is: 'mounted', mount: { directory } })
  t.strictSame(await hereOf({ ...address, isolationKey: 'another' }), { is: 'nothing' })
  t.strictSame(await hereOf({ ...address, endpoint: 'https://elsewhere.example/api' }), { is: 'nothing' })
  t.strictSame(await hereOf({ ...address, session: 'other-session' }), { is: 'nothing' })
})

/** The mount of the scene taken for one of all sessions of the agent: each directory in it stands for a session. */
async function asAgent(
  t: Test,
  { record, address, root }: Scene,
  report: Partial<StatusReport> = {},
): Promise<void> {
  const roots = { stateRoot: join(root, 'state', 'mount-session'), cacheRoot: join(root, 'cache') }
  const { state: stateDirectory } = makeAgentDirectories(address, roots)
  const status = (): StatusReport => statusReport({ session: undefined, sessions: [], pid: 4711, ...report })
  const handlers = fakeHandlers({
    status,
    sync: (path, signal) =>
      ask(record.stateDirectory, { method: 'sync', path }, { signal }).then(() => undefined),
  })
  const server = await startControlServer(stateDirectory, handlers, silentLogger)
  t.teardown(() => server.close())
  const { directory, mount, specials } = record
  /* beside the record of the mount itself */
  const announced = {
    directory: `${directory}/`,
    mount,
    specials,
    stateDirectory,
    pid: 4711,
    agent: 'triage',
  }
  t.teardown(announceMount(roots.stateRoot, announced))
}

void t.test('in a mount of all sessions of the agent its directory is the session', async (t) => {
  const { record, home, hidden, directory } = await scene(t)
  mkdirSync(join(home, 'one'))
  const files = new MountedFiles(record, { within: 'one', maxFileBytes, hidden })
  await files.open()
  t.teardown(() => files.close())
  t.equal(files.directory, join(directory, 'one'))
  await sessionFilesContract(t, { files, base: '', maxFileBytes })
  await files.upload('in/it', Buffer.from('1'))
  t.equal(readFileSync(join(home, 'one', 'in', 'it'), 'utf8'), '1', 'it is there when that returns')
  hidden.put('.logs', 'a file of the agent')
  t.equal((await readWhole(files, '.logs')).toString(), 'a file of the agent')
  await t.rejects(files.remove(''), { code: 'conflict', message: /is mounted at \S+\/one: it must be/ })
  const none = new MountedFiles(record, { within: 'none', maxFileBytes, hidden })
  await t.rejects(none.open(), { code: 'not_found' })
})

void t.test(
  'a session is found in a mount of all sessions of its agent, by the same identity alone',
  async (t) => {
    const mounted = await scene(t)
    const { directory, address } = mounted
    const other = { ...address, session: 'other-session' }
    t.strictSame(await hereOf(other), { is: 'nothing' })
    await asAgent(t, mounted, {
      sessions: [
        { session: 'other-session', state: 'open', paths: 0 },
        { session: 'held-session', state: 'refused', reason: 'another process has it', paths: 0 },
      ],
    })
    t.match(await hereOf(other), { is: 'mounted', mount: { directory, pid: 4711 }, within: 'other-session' })
    const resting = { ...address, session: 'never-gone-into' }
    t.match(await hereOf(resting), { is: 'mounted', within: 'never-gone-into' })
    t.match(
      await hereOf(address),
      { is: 'mounted', mount: { pid: mounted.record.pid }, within: '' },
      'its own first',
    )
    t.strictSame(await hereOf({ ...address, session: 'held-session' }), { is: 'nothing' })
    t.strictSame(await hereOf({ ...other, isolationKey: 'another' }), { is: 'nothing' })
    t.strictSame(await hereOf({ ...other, endpoint: 'https://elsewhere.example/api' }), { is: 'nothing' })
  },
)

void t.test('of a read-only mount of all sessions only the paths of the session are told', async (t) => {
  const mounted = await scene(t)
  const paths = ['other-session/late', 'other-session2/late'].map((path) => ({ ...leftover, path }))
  const sessions = [{ session: 'other-session', state: 'open', paths: 1 }] as const
  await asAgent(t, mounted, { readOnly: true, paths, sessions })
  const other = { ...mounted.address, session: 'other-session' }
  t.strictSame(await hereOf(other), { is: 'apart', paths: ['late'], pid: 4711 })
  t.strictSame(await hereOf({ ...other, session: 'third-session' }), { is: 'nothing' })
})

void t.test('what is told of a session has its directory there, and what waits in it', async (t) => {
  const mounted = await scene(t)
  const { address, directory, root } = mounted
  const paths = { state: 'open', paths: 1 } as const
  const setAside = ['other-session/x', 'other-session2/x'].map((path) => ({
    path,
    reason: 'the power failed',
  }))
  await asAgent(t, mounted, { sessions: [{ session: 'other-session', ...paths }], setAside })
  const other = { ...address, session: 'other-session' }
  const roots = { stateRoot: join(root, 'state', 'mount-session'), cacheRoot: join(root, 'cache') }
  const { state } = makeSessionDirectories(other, roots)
  const told = (): Promise<LocalState> =>
    localState({ ...defaultValues(), endpoint: address.endpoint }, other)
  const shown = [join(directory, 'other-session')]
  t.strictSame(await told(), { mounted: [], shown, waiting: 0 }, 'nobody has it: its journal says')
  const lock = takeLock(state, undefined)
  t.strictSame(await told(), { mounted: [], shown, waiting: 2 }, 'the daemon of the agent has it')
  lock.release()
})

void t.test('commands use it, and the service for a session that it does not show', async (t) => {
  const mounted = await scene(t)
  const { home, root } = mounted
  const command = (...args: string[]): Promise<Ended> => mounted.command(args)
  mkdirSync(join(home, 'other-session'))
  writeFileSync(join(home, 'other-session', 'a'), 'of the mount')
  writeFileSync(join(root, 'b'), 'put')
  await asAgent(t, mounted, { sessions: [{ session: 'other-session', state: 'open', paths: 0 }] })
  t.match(await command('ls', 'triage/other-session'), { code: 0, stdout: 'a\n', stderr: '' })
  t.match(await command('get', 'triage/other-session:a', '-'), { code: 0, stdout: 'of the mount' })
  t.match(await command('put', join(root, 'b'), 'triage/other-session:b'), { code: 0 })
  t.equal(readFileSync(join(home, 'other-session', 'b'), 'utf8'), 'put')
  t.match(await command('rm', '--yes', 'triage/other-session:a'), { code: 0 })
  t.throws(() => readFileSync(join(home, 'other-session', 'a')), { code: 'ENOENT' })
  t.match(await command('ls', 'triage/third-session'), { code: 1, stderr: /no such agent or session at / })
})

void t.test('a read-only mount shows nothing of its own: the service is used', async (t) => {
  const { address } = await scene(t, { args: ['-o', 'ro'] })
  t.strictSame(await hereOf(address), { is: 'nothing' })
})

void t.test('what waits is seen in the mount, and named when the daemon was killed', async (t) => {
  const mounted = await scene(t)
  const { address, directory, record, files } = mounted
  await mounted.fault({ verb: 'upload', kind: 'hold' })
  const written = await mounted.start('bash', ['-c', 'echo late > "$1/late"', 'bash', directory]).ended
  t.equal(written.code, 0, written.stderr)
  t.match((await everyEntry(files, '')).get('late'), { isDirectory: false, size: 5 })
  t.equal((await readWhole(files, 'late')).toString(), 'late\n')
  process.kill(record.pid, 'SIGKILL')
  t.ok(await eventually(async () => (await hereOf(address)).is === 'apart'))
  t.match(await hereOf(address), { is: 'apart', paths: ['late'], pid: undefined })
  t.ok(isMounted(directory))
  await t.rejects(everyEntry(files, ''), { code: 'network' })
})

void t.test('after an unmount what lies at the mount point is not taken for the session', async (t) => {
  const mounted = await scene(t)
  const { files, record, directory } = mounted
  await files.upload('there', Buffer.from('1'))
  t.equal((await mounted.start('umount', ['-l', '-i', directory]).ended).code, 0)
  writeFileSync(join(directory, 'underneath'), 'local')
  t.strictSame([...(await everyEntry(files, '')).keys()], ['there'], 'held while it is open')
  const late = new MountedFiles(record, { maxFileBytes, hidden: new MemoryFiles() })
  await t.rejects(late.open(), { code: 'network' })
})

void t.test('of a daemon that was stopped it is said that it does not answer', async (t) => {
  const { address, record, directory } = await scene(t)
  process.kill(record.pid, 'SIGSTOP')
  t.match(await hereOf(address), { is: 'silent', mount: { directory } })
  process.kill(record.pid, 'SIGCONT')
  t.match(await hereOf(address), { is: 'mounted' })
})

void t.test('a file that changes while it is downloaded is an error', async (t) => {
  const mounted = await scene(t)
  const { files, directory } = mounted
  await files.upload('long', Buffer.alloc(1_000_000, 'a'))
  const { body } = await files.download('long')
  const pieces = body[Symbol.asyncIterator]()
  await pieces.next()
  t.equal((await mounted.start('bash', ['-c', 'echo more >> "$1/long"', 'bash', directory]).ended).code, 0)
  const rest = async (): Promise<void> => {
    while ((await pieces.next()).done !== true);
  }
  await t.rejects(rest(), { code: 'truncated' })
})

void t.test('a caller who gives up is let go while the daemon is stopped', async (t) => {
  const { files, record } = await scene(t)
  process.kill(record.pid, 'SIGSTOP')
  const abort = new AbortController()
  const listing = files.list('', { signal: abort.signal }).next()
  abort.abort(new Error('enough'))
  await t.rejects(listing, { code: 'aborted' })
  process.kill(record.pid, 'SIGCONT')
  t.ok(await eventually(() => files.waiting === 0))
})

void t.test('failures of a mount are told in the words of the service', (t) => {
  const failure = (code: string): Error => Object.assign(new Error(code), { code })
  t.equal(fromMount('list x', failure('ENOTCONN')).code, 'network')
  t.equal(fromMount('list x', failure('ENOTDIR'), true).code, 'not_found')
  t.equal(fromMount('upload x', failure('ENOTDIR')).code, 'conflict')
  t.equal(fromMount('upload x', failure('ENOSPC')).code, 'local')
  const refused = (reason: string): ControlError => new ControlError('refused', 'no', { reason })
  t.equal(fromMount('upload x', refused('accessDenied')).code, 'forbidden')
  t.equal(fromMount('upload x', refused('timedOut')).code, 'timeout')
  t.equal(fromMount('upload x', new ControlError('notRunning', 'its daemon has ended')).code, 'network')
  const own = new ServiceError('throttled', 'as it is')
  t.equal(fromMount('upload x', own), own)
  t.end()
})
