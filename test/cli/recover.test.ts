/**
 * Which sessions `recover` is about: one, all of an agent, or all; what it does to each is in test/crash.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { makeSessionDirectories, sessionDirectories } from '../../src/session/directories.ts'
import { takeLock } from '../../src/session/session-lock.ts'
import { startTestEmulator } from '../emulator-server.ts'
import { describe, workplace } from '../mount/rig.ts'
import { eventually } from '../mount/programs.ts'
import { mountSessionCommand } from './command.ts'

const endpoint = 'https://a.example/p'

void t.test('AGENT/ is all sessions of the agent, of all projects unless a flag names one', async (t) => {
  const home = t.testdir()
  const roots = {
    stateRoot: join(home, '.local/state/mount-session'),
    cacheRoot: join(home, '.cache/mount-session'),
  }
  const addresses = [
    { endpoint, agent: 'triage', session: 'one' },
    { endpoint: 'https://b.example/p', agent: 'triage', session: 'two' },
    { endpoint, agent: 'triage2', session: 'three' },
  ].map((address) => ({ ...address, isolationKey: undefined, userIdentity: undefined }))
  for (const address of addresses) makeSessionDirectories(address, roots)
  const env = { FOUNDRY_PROJECT_ENDPOINT: 'https://elsewhere.example/p' }
  const doomed = async (...args: readonly string[]): Promise<readonly string[]> => {
    const { code, stderr } = await mountSessionCommand(home, ['recover', '--discard', ...args], env)
    t.not(code, 0, stderr)
    const [, names = stderr] = /giving up what is left of (.*) cannot be undone/.exec(stderr) ?? []
    return names.split(', ').toSorted()
  }
  t.strictSame(await doomed('triage/'), ['triage/one', 'triage/two'])
  t.strictSame(await doomed('triage/', '--endpoint', endpoint), ['triage/one'])
  t.strictSame(await doomed(), ['triage/one', 'triage/two', 'triage2/three'])
  t.match(await doomed('triage/one'), [/nothing of triage\/one is kept/], 'of the project of the environment')
  t.match(await doomed('other/'), [/nothing of other\/ is kept on this machine/])
  t.match(await doomed('triage'), [/"triage" is not of the form/])
})

void t.test('of AGENT/ those that a daemon has are passed over, and the others uploaded', async (t) => {
  const sessions = ['held-session', 'left-session'].map((session) => ({ agent: 'triage', session }))
  const other = { agent: 'other', session: 'other-session' }
  const emulator = await startTestEmulator(t, { seed: [...sessions, other] })
  const work = workplace(t)
  const env = {
    ...work.env,
    FOUNDRY_PROJECT_ENDPOINT: emulator.endpoint,
    MOUNT_SESSION_TOKEN: emulator.token,
  }
  const clear = emulator.fault({ kind: 'status', status: 401, verb: 'upload' })
  for (const { agent, session } of [...sessions, other]) {
    const directory = work.mountPoint(session)
    const mounting = await work.command(['--restart', 'off', `${agent}/${session}`, directory], { env })
    if (mounting.code !== 0) throw new Error(describe(mounting))
    const written = await work.start('bash', ['-c', 'echo 1 > "$1/late"', 'bash', directory]).ended
    t.equal(written.code, 0, written.stderr)
  }
  const { stdout } = await work.command(['list', '--json'], { env })
  const mounts = JSON.parse(stdout) as readonly { readonly pid: number; readonly session: string }[]
  for (const { pid } of mounts) {
    work.owns(pid)
    process.kill(pid, 'SIGKILL')
  }
  clear()
  const roots = { stateRoot: join(work.root, 'state/mount-session'), cacheRoot: join(work.root, 'cache') }
  const address = { endpoint: emulator.endpoint, isolationKey: undefined, userIdentity: undefined }
  const stateOf = (of: { readonly agent: string; readonly session: string }): string =>
    sessionDirectories({ ...address, ...of }, roots).state
  const [held = other] = sessions
  let lock: ReturnType<typeof takeLock> | undefined
  t.ok(
    await eventually(() => {
      try {
        lock = takeLock(stateOf(held), undefined)
      } catch {
        /* the daemon has not ended yet */
      }
      return lock !== undefined
    }),
  )
  const recovered = await work.command(['recover', 'triage/'], { env })
  t.match(recovered, { code: 0, stdout: 'triage/left-session: 1 path uploaded\n' })
  t.match(recovered.stderr, /triage\/held-session: passed over, this session is held by pid \d+/)
  t.notMatch(recovered.stderr, /other/)
  lock?.release()
  t.match(await work.command(['recover', 'triage/'], { env }), {
    code: 0,
    stdout: 'triage/held-session: 1 path uploaded\n',
  })
  t.ok(existsSync(join(stateOf(other), 'journal')))
  t.match(await work.command(['recover'], { env }), { stdout: 'other/other-session: 1 path uploaded\n' })
})
