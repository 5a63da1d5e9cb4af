/* The kernel's device, a daemon and the emulator: what a user does from the command line. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { startEmulator } from '../../src/emulator/emulator.ts'
import type { Emulator } from '../../src/emulator/emulator.ts'
import { acquireSessionLock } from '../../src/session/session-lock.ts'
import { makeSessionDirectories } from '../../src/session/directories.ts'
import { mountSessionCommand } from './command.ts'
import type { Outcome } from './command.ts'

const seed = { agent: 'agent', session: 'session-0001' }

interface Rig {
  readonly emulator: Emulator
  readonly directory: string
  readonly stateRoot: string
  run(...args: readonly string[]): Promise<Outcome>
  /** Runs a shell command with the mount as `$1`. */
  shell(command: string): Promise<string>
}

type Test = Pick<typeof t, 'teardown'>

async function start(t: Test): Promise<Rig> {
  /* not a directory that tap removes at its own time: a mount may be in it */
  const root = mkdtempSync(join(tmpdir(), 'mount-session-cli-'))
  for (const name of ['home', 'mnt', 'elsewhere']) {
    mkdirSync(join(root, name))
  }
  const directory = join(root, 'mnt')
  const emulator = await startEmulator({
    data: join(root, 'data'),
    seed: [seed],
    seedFiles: true,
    token: 'right',
  })
  const env = { FOUNDRY_PROJECT_ENDPOINT: emulator.endpoint, MOUNT_SESSION_TOKEN: 'right' }
  const run = (...args: readonly string[]): Promise<Outcome> =>
    mountSessionCommand(join(root, 'home'), args, env)
  t.teardown(async () => {
    await run('unmount', '--force', directory)
    await emulator.close()
    /* fails on a mount that is still there, and leaves it alone */
    for (const name of ['mnt', 'elsewhere']) {
      rmdirSync(join(root, name))
    }
    rmSync(root, { recursive: true })
  })
  return {
    emulator,
    directory,
    stateRoot: join(root, 'home/.local/state/mount-session'),
    run,
    async shell(command) {
      const child = spawn('timeout', ['30', 'sh', '-c', command, 'sh', directory], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      let stdout = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
      await once(child, 'close')
      return stdout
    },
  }
}

const success: Outcome = { code: 0, stdout: '', stderr: '' }

void t.test('mount, write, sync, status, unmount', async (t) => {
  const rig = await start(t)
  const sandbox = rig.emulator.filesDirectory(seed.agent, seed.session)
  t.same(await rig.run('agent/session-0001', rig.directory), success)
  t.equal(await rig.shell('cat "$1/README.md"'), readFileSync(join(sandbox, 'README.md'), 'utf8'))
  await rig.shell('echo hello > "$1/new file"; mkdir "$1/sub"; echo deep > "$1/sub/deep"')
  t.same(await rig.run('sync', rig.directory, 'sub'), success)
  t.equal(readFileSync(join(sandbox, 'sub/deep'), 'utf8'), 'deep\n')
  t.same(await rig.run('sync', rig.directory), success)
  t.equal(readFileSync(join(sandbox, 'new file'), 'utf8'), 'hello\n')

  const status = await rig.run('status', rig.directory)
  t.match(status, { code: 0, stdout: /^agent\/session-0001 at .*everything is uploaded\n$/s })
  const { pid, paths, calls } = JSON.parse((await rig.run('status', rig.directory, '--json')).stdout) as {
    pid: number
    paths: unknown[]
    calls: Record<string, unknown>
  }
  t.match({ paths, calls }, { paths: [], calls: { upload: { 201: 2 } } })
  t.match(JSON.parse(await rig.shell('cat "$1/.status"')), { pid, paths: [] })

  await rig.shell('echo last > "$1/last"')
  t.same(await rig.run('unmount', rig.directory), success)
  t.equal(readFileSync(join(sandbox, 'last'), 'utf8'), 'last\n')
  t.equal(await rig.shell('ls "$1"'), '')
  t.match(await rig.run('status', rig.directory), { code: 1, stderr: /is not a mounted session\n$/ })
})

void t.test('what keeps a session from being mounted is one line and exit code 1', async (t) => {
  const rig = await start(t)
  const refused = async (message: RegExp, ...args: readonly string[]): Promise<void> => {
    const { code, stdout, stderr } = await rig.run(...args)
    t.match(stderr, message)
    t.same([code, stdout, stderr.split('\n').length], [1, '', 2], args.join(' '))
  }
  await refused(/^mount-session: .*session-0002/, 'agent/session-0002', rig.directory)
  await refused(/^mount-session: .*nobody/, 'nobody/session-0001', rig.directory)
  await refused(
    /^mount-session: .*127\.0\.0\.1:1\b/,
    'agent/session-0001',
    rig.directory,
    '--endpoint',
    'http://127.0.0.1:1/api/projects/p',
  )
  rig.emulator.setToken('other')
  await refused(/^mount-session: .*(401|token)/i, 'agent/session-0001', rig.directory)
  rig.emulator.setToken('right')
  rig.emulator.expireSession(seed.agent, seed.session)
  await refused(/^mount-session: .*expired/, 'agent/session-0001', rig.directory)
})

void t.test('a second mount is refused, at the same place and at another', async (t) => {
  const rig = await start(t)
  t.same(await rig.run('agent/session-0001', rig.directory), success)
  const same = await rig.run('agent/session-0001', rig.directory)
  t.match(same, { code: 1, stderr: /mnt is already mounted: "mount-session unmount .*mnt" first\n$/ })
  const elsewhere = await rig.run('agent/session-0001', join(rig.directory, '../elsewhere'))
  t.equal(elsewhere.code, 1)
  t.match(elsewhere.stderr, /held by pid \d+, mounted at .*mnt/)
  t.same(await rig.run('unmount', rig.directory), success)
})

void t.test('recovering a session that is held says who holds it', async (t) => {
  const rig = await start(t)
  const address = {
    ...seed,
    endpoint: rig.emulator.endpoint,
    isolationKey: undefined,
    userIdentity: undefined,
  }
  const { state } = makeSessionDirectories(address, { stateRoot: rig.stateRoot, cacheRoot: rig.stateRoot })
  const lock = acquireSessionLock(state, { pid: process.pid, directory: '/mnt/somewhere' })
  const named = await rig.run('recover', 'agent/session-0001')
  t.match(named, { code: 1, stderr: /held by pid \d+, mounted at \/mnt\/somewhere/ })
  const all = await rig.run('recover')
  t.match(all, { code: 0, stderr: /agent\/session-0001: passed over, .*held by pid/ })
  lock.release()
  t.same(await rig.run('recover'), success)
})

void t.test('a busy mount says who uses it, stays, and is unmounted when left', async (t) => {
  const rig = await start(t)
  t.same(await rig.run('agent/session-0001', rig.directory), success)
  const user = spawn('sh', ['-c', 'cd "$1" && echo there && exec cat', 'sh', rig.directory], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  await once(user.stdout, 'data')
  const busy = await rig.run('unmount', rig.directory)
  t.match(busy, {
    code: 1,
    stderr: /mnt is busy: cat \(pid \d+, working directory\); everything is uploaded\./,
  })
  t.match(await rig.shell('ls "$1"'), /README\.md/)
  user.stdin.end()
  await once(user, 'close')
  t.same(await rig.run('unmount', rig.directory), success)
})

void t.test('what cannot be uploaded is named, and --force keeps it for the next mount', async (t) => {
  const rig = await start(t)
  t.same(await rig.run('agent/session-0001', rig.directory, '--timeout', '1s'), success)
  const clear = rig.emulator.fault({ kind: 'status', status: 503, verb: 'upload' })
  await rig.shell('echo kept > "$1/kept"')
  const left = await rig.run('unmount', rig.directory)
  t.match(left, { code: 1, stderr: /mnt is still mounted: this could not be uploaded.*\n {2}kept  5 B  / })
  const forced = await rig.run('unmount', '--force', rig.directory)
  t.match(forced, {
    code: 1,
    stderr: /mnt is unmounted; this is kept here for the next mount:\n {2}kept  5 B  /,
  })
  t.equal(await rig.shell('ls "$1"'), '')
  clear()
  t.match(await rig.run('recover'), { code: 0, stdout: 'agent/session-0001: 1 path uploaded\n' })
  const sandbox = rig.emulator.filesDirectory(seed.agent, seed.session)
  t.equal(readFileSync(join(sandbox, 'kept'), 'utf8'), 'kept\n')
})
