/**
 * The local side of a mount: who may read what it keeps, who gets the directory, what becomes of files that are
 * taken away under it.
 */
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startTestEmulator } from '../emulator-server.ts'
import { isMounted, mountEmulator, workplace } from './rig.ts'

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
