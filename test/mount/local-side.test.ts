/**
 * The local side of a mount: who may read what it keeps, who gets the directory, what becomes of files that are
 * taken away under it.
 */
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { agent, files, session, startTestEmulator } from '../emulator-server.ts'
import { eventually } from './programs.ts'
import { type Environment, isMounted, isRunning, mountEmulator, workplace, type Workplace } from './rig.ts'

const onlyRoot = { skip: process.getuid?.() === 0 ? false : 'only root can stage this' }

void t.test('nothing that a mount keeps can be read by others, whatever the umask', async (t) => {
  const umask = process.umask(0)
  t.teardown(() => process.umask(umask))
  const mounted = await mountEmulator(t)
  await mounted.ok('echo text > new; head -c 100000 /dev/zero > large; cat .logs > /dev/null; mkdir d')
  await mounted.sync()
  await mounted.ok('cat large > /dev/null')
  const kept = (name: string): Promise<string> =>
    mounted.ok(`find '${join(mounted.root, name)}' -perm /077 -not -type l`)
  t.equal(await kept('state'), '')
  t.equal(await kept('cache'), '')
})

void t.test('the isolation key is not among the arguments that everybody sees of a daemon', async (t) => {
  const key = 'key-of-nobody-else'
  for (const args of [
    ['--isolation-key', key],
    [`--isolation-key=${key}`],
    ['-o', `ttl=1s,isolation-key=${key}`],
  ]) {
    await t.test(args.join(' '), async (t) => {
      const mounted = await mountEmulator(t, { args })
      const shown = readFileSync(`/proc/${mounted.pid}/cmdline`, 'utf8')
      t.notMatch(shown, key)
      t.match(shown, mounted.directory)
    })
  }
})

void t.test('of three sessions that are mounted on one directory at once, one is', async (t) => {
  const agent = 'demo-agent'
  const sessions = ['session-0001', 'session-0002', 'session-0003']
  const emulator = await startTestEmulator(t, { seed: sessions.map((session) => ({ agent, session })) })
  const work = workplace(t)
  const directory = work.mountPoint()
  const env = {
    ...work.env,
    FOUNDRY_PROJECT_ENDPOINT: emulator.endpoint,
    MOUNT_SESSION_TOKEN: emulator.token,
  }
  const ended = await Promise.all(
    sessions.map((session) => work.command([`${agent}/${session}`, directory], { env })),
  )
  t.same(ended.map(({ code }) => code).sort(), [0, 1, 1], ended.map(({ stderr }) => stderr).join(''))
  for (const { stderr } of ended.filter(({ code }) => code !== 0))
    t.match(stderr, /mnt(: somebody else mounts there just now| is already mounted: .*)\n$/)
  t.equal((await work.command(['unmount', directory], { env })).code, 0)
  t.notOk(isMounted(directory), 'there was one mount')
})

void t.test('a daemon whose log cannot be written goes on', async (t) => {
  const mounted = await mountEmulator(t, { args: ['--log-file', '/dev/full', '--log-level', 'debug'] })
  await mounted.ok('echo text > f; cat f; ls -l > /dev/null; ! cat none')
  await mounted.sync()
  t.equal((await mounted.status()).pid, mounted.pid)
})

void t.test('a log that is removed under a mount is made anew', async (t) => {
  const mounted = await mountEmulator(t, { args: ['--log-level', 'trace'] })
  const log = join(mounted.root, 'daemon.log')
  rmSync(log)
  const isThere = async (): Promise<boolean> => {
    await mounted.ok('ls > /dev/null')
    return existsSync(log)
  }
  while (!(await isThere()));
  t.ok(statSync(log).size > 0)
  t.equal((await mounted.status()).pid, mounted.pid)
})

void t.test('the log and its directory, removed or in the way, neither end nor stop a mount', async (t) => {
  const logs = join(workplace(t).root, 'logs/of/mounts')
  const log = join(logs, 'mount.log')
  const mounted = await mountEmulator(t, { args: ['--log-file', log, '--log-level', 'trace'] })
  /* once a second the file is looked at */
  const aSecondOfWork =
    'end=$(($(date +%s) + 2)); while [ $(date +%s) -lt $end ]; do echo text > f; cat f; done'
  const comesBack = async (): Promise<void> => {
    const isThere = async (): Promise<boolean> => {
      await mounted.ok('ls > /dev/null')
      return statSync(log, { throwIfNoEntry: false })?.isFile() === true && statSync(log).size > 0
    }
    t.ok(await eventually(isThere))
  }
  rmSync(join(logs, '../..'), { recursive: true })
  await comesBack()
  t.equal(statSync(log).mode & 0o777, 0o600)

  rmSync(logs, { recursive: true })
  writeFileSync(logs, 'not a directory')
  await mounted.ok(aSecondOfWork)
  rmSync(logs)
  await comesBack()

  rmSync(log)
  await mounted.start('mkfifo', [log]).ended
  await mounted.ok(aSecondOfWork)
  rmSync(log)
  await comesBack()
  await mounted.sync()
  t.equal((await mounted.status()).pid, mounted.pid)
})

void t.test('the console goes on, and is kept, when the cache is removed under the mount', async (t) => {
  const mounted = await mountEmulator(t)
  const { emulator } = mounted
  const cache = join(mounted.root, 'cache')
  const console = join(cache, 'mount-session/sessions')
  const says = async (line: string): Promise<void> => {
    emulator.appendLog(agent, session, [line])
    t.ok(await eventually(async () => (await mounted.ok('cat .logs')).includes(line)))
  }
  await says('before')
  rmSync(cache, { recursive: true })
  t.match(await mounted.ok('cat .logs'), 'before')
  await says('after')
  const [kept = ''] = readdirSync(console)
  t.match(readFileSync(join(console, kept, 'logs/console.log'), 'utf8'), /before[^]*after/)
})

/** The state directory of the only session of a workplace. */
function stateOf({ env }: Pick<Workplace, 'env'>): string {
  const sessions = join(env['XDG_STATE_HOME'] ?? '', 'mount-session', 'sessions')
  return join(sessions, readdirSync(sessions)[0] ?? '')
}

/** A mount below a directory that has been renamed since; where it is now. */
async function renamed(t: Test): Promise<Workplace & { directory: string; pid: number; env: Environment }> {
  const emulator = await startTestEmulator(t)
  const work = workplace(t)
  mkdirSync(join(work.root, 'before'))
  const directory = work.mountPoint('before/mnt')
  const env = {
    ...work.env,
    FOUNDRY_PROJECT_ENDPOINT: emulator.endpoint,
    MOUNT_SESSION_TOKEN: emulator.token,
  }
  const command: Workplace['command'] = (args, options) => work.command(args, { env, ...options })
  t.equal((await command([emulator.target, directory])).code, 0)
  const { pid } = JSON.parse((await command(['status', '--json', directory])).stdout) as { pid: number }
  work.owns(pid)
  renameSync(join(work.root, 'before'), join(work.root, 'after'))
  return { ...work, env, command, directory: join(work.root, 'after/mnt'), pid }
}

void t.test('a mount whose parent was renamed is found, synced and unmounted where it is now', async (t) => {
  const work = await renamed(t)
  const { directory, pid } = work
  await work.start('sh', ['-c', 'echo text > "$1/f"', 'sh', directory]).ended
  t.match(await work.command(['status', directory]), { code: 0, stdout: ` at ${directory}\n`, stderr: '' })
  t.match(await work.command(['sync', directory, 'f']), { code: 0, stderr: '' })
  t.match(await work.command(['unmount', directory]), { code: 0, stderr: '' })
  t.notOk(isMounted(directory))
  t.ok(await eventually(() => !isRunning(pid)))
})

void t.test('signals end a mount whose parent was renamed', async (t) => {
  const { directory, pid } = await renamed(t)
  process.kill(pid, 'SIGTERM')
  t.ok(await eventually(() => !isRunning(pid)))
  t.notOk(isMounted(directory))
})

void t.test(
  'a mount that goes on elsewhere is said, by place and process, and ends with the last',
  onlyRoot,
  async (t) => {
    const mounted = await mountEmulator(t)
    const other = mounted.mountPoint('other')
    await mounted.start('mount', ['--bind', mounted.directory, other]).ended
    const { code, stderr } = await mounted.command(['unmount', mounted.directory])
    t.equal(code, 1)
    t.match(stderr, `mnt is not mounted any more, but the mount goes on at ${other}`)
    t.match(stderr, ': unmount it there, too')
    t.ok(isRunning(mounted.pid))
    await mounted.start('umount', [other]).ended
    t.ok(await eventually(() => !isRunning(mounted.pid)), 'everything is uploaded, nothing is mounted')
  },
)

void t.test(
  '--force ends a mount that another namespace holds; without it that is named',
  onlyRoot,
  async (t) => {
    const mounted = await mountEmulator(t)
    const holder = mounted.start('unshare', ['-m', 'sh', '-c', 'echo there; exec sleep 60'], {})
    t.ok(
      await eventually(
        () => readlinkSync(`/proc/${holder.child.pid}/ns/mnt`) !== readlinkSync('/proc/self/ns/mnt'),
      ),
    )
    const held = await mounted.command(['unmount', mounted.directory, '--timeout', '30s'])
    t.equal(held.code, 1)
    t.match(held.stderr, new RegExp(`goes on at ${mounted.directory} \\(\\w+, pid ${holder.child.pid}\\)`))
    const forced = await mounted.command(['unmount', '--force', mounted.directory])
    t.match(forced, { code: 0, stderr: '' })
    t.ok(await eventually(() => !isRunning(mounted.pid)))
  },
)

void t.test('a socket and a lock that are removed under a mount are made anew', async (t) => {
  const mounted = await mountEmulator(t)
  const state = stateOf(mounted)
  for (const name of ['control', 'lock']) rmSync(join(state, name))
  t.ok(await eventually(() => existsSync(join(state, 'control')) && existsSync(join(state, 'lock'))))
  t.equal((await mounted.status()).pid, mounted.pid)
  const second = await mounted.command([mounted.emulator.target, mounted.mountPoint('other')])
  t.match(second.stderr, `held by pid ${mounted.pid}`)
  t.equal(statSync(join(state, 'control')).mode & 0o777, 0o600)
})

void t.test('without its journal a mount confirms nothing that is not on the service', async (t) => {
  const mounted = await mountEmulator(t)
  const { emulator } = mounted
  const hold = emulator.hold({ verb: 'upload' })
  await mounted.ok('echo before > before')
  const state = stateOf(mounted)
  rmSync(join(state, 'journal'), { recursive: true })
  const refused = await mounted.sh('LC_ALL=C; echo new > new')
  t.match(refused.stderr, 'Input/output error')
  const over = await mounted.sh('LC_ALL=C; echo more >> before')
  t.match(over.stderr, 'Input/output error')
  hold.release()
  t.ok(await eventually(() => 'before' in files(emulator)), 'what was on its way arrives')
  t.ok(
    await eventually(() =>
      mounted.logged('error').join('').includes('taken away under the mount: changes fail'),
    ),
  )
})

void t.test(
  'the whole state can be removed under a mount: it answers, and says what it cannot keep',
  async (t) => {
    const mounted = await mountEmulator(t)
    const state = stateOf(mounted)
    rmSync(state, { recursive: true })
    t.ok(await eventually(() => existsSync(join(state, 'control'))))
    t.equal((await mounted.status()).pid, mounted.pid)
    t.match((await mounted.sh('LC_ALL=C; echo new > new')).stderr, 'Input/output error')
    await mounted.ok('ls')
  },
)

void t.test('on a full disk files are removed all the same', onlyRoot, async (t) => {
  const small = mkdtempSync(join(tmpdir(), 'full-disk-'))
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', small])
  t.teardown(() => {
    spawnSync('umount', ['-l', small])
    rmSync(small, { recursive: true })
  })
  const args = ['--log-file', join(small, 'log')]
  const mounted = await mountEmulator(t, { env: { XDG_STATE_HOME: small }, args })
  await mounted.ok('mkdir d; for number in 1 2 3; do echo text > d/f$number; echo text > g$number; done')
  await mounted.sync()
  const fill = join(small, 'fill')
  await mounted.start('sh', ['-c', 'cat /dev/zero > "$1"', 'sh', fill]).ended
  t.match((await mounted.sh('LC_ALL=C; head -c 1000000 /dev/zero > big')).stderr, 'No space left on device')
  t.equal(await mounted.ok('rm g1 g2; rm -r d; rm -f big; ls'), 'g3\n')
  await mounted.sync()
  t.same(Object.keys(files(mounted.emulator)), ['g3'])
  rmSync(fill)
  await mounted.ok('echo text > again')
  await mounted.sync()
})
