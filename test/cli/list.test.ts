/**
 * `list` tells every mount of this user, whatever has become of it; `status --watch` shows one again and again.
 */
import { join } from 'node:path'
import t from 'tap'
import { watch } from '../../src/cli/watch.ts'
import { FakeClock } from '../fake-clock.ts'
import { startTestEmulator } from '../emulator-server.ts'
import { describe, mountEmulator, workplace } from '../mount/rig.ts'
import { eventually } from '../mount/programs.ts'

interface Listed {
  readonly session: string
  readonly directory: string
  readonly pid: number
  readonly state: string
}

void t.test('without a mount there is nothing to list', async (t) => {
  const work = workplace(t)
  t.match(await work.command(['list']), { code: 0, stdout: '', stderr: 'nothing is mounted by this user\n' })
  t.match(await work.command(['list', '--json']), { code: 0, stdout: '[]\n', stderr: '' })
})

void t.test('each mount is told with what waits, one that is silent or dead beside the others', async (t) => {
  const emulator = await startTestEmulator(t, {
    seed: ['ready', 'paused', 'stopped', 'killed'].map((name) => ({
      agent: 'triage',
      session: `${name}-session`,
    })),
  })
  const work = workplace(t)
  const env = {
    ...work.env,
    FOUNDRY_PROJECT_ENDPOINT: emulator.endpoint,
    MOUNT_SESSION_TOKEN: emulator.token,
  }
  const list = async (): Promise<readonly Listed[]> => {
    const ended = await work.command(['list', '--json'], { env })
    if (ended.code !== 0) throw new Error(describe(ended))
    return JSON.parse(ended.stdout) as readonly Listed[]
  }
  for (const name of ['ready', 'paused', 'stopped', 'killed']) {
    const mounting = await work.command(
      ['--restart', 'off', `triage/${name}-session`, work.mountPoint(name)],
      { env },
    )
    if (mounting.code !== 0) throw new Error(describe(mounting))
  }
  const mounts = new Map((await list()).map((mount) => [mount.session.replace('-session', ''), mount]))
  for (const { pid } of mounts.values()) work.owns(pid)
  const writes = async (name: string): Promise<void> => {
    const file = join(work.root, name, 'late')
    const { code } = await work.start('bash', ['-c', 'echo 1234 > "$1"', 'bash', file]).ended
    t.equal(code, 0, name)
  }
  t.strictSame([...mounts.keys()], ['killed', 'paused', 'ready', 'stopped'], 'by directory')
  const killed = emulator.hold({ verb: 'upload' })
  await writes('killed')
  process.kill(mounts.get('killed')?.pid ?? 0, 'SIGKILL')
  killed.release()
  process.kill(mounts.get('stopped')?.pid ?? 0, 'SIGSTOP')
  emulator.fault({ kind: 'status', status: 401, verb: 'upload' })
  await writes('paused')
  t.ok(await eventually(async () => (await list()).some(({ state }) => state === 'paused')))
  t.match(await list(), [
    { agent: 'triage', session: 'killed-session', state: 'ended', pending: 1, pendingBytes: null },
    { session: 'paused-session', state: 'paused', reason: /401/, pending: 1, pendingBytes: 5 },
    {
      session: 'ready-session',
      state: 'ready',
      reason: null,
      pending: 0,
      directory: join(work.root, 'ready'),
    },
    { session: 'stopped-session', state: 'silent', pending: null },
  ])
  const { stdout } = await work.command(['list'], { env })
  t.match(stdout, /^SESSION +DIRECTORY +PENDING +STATE\n/)
  t.match(stdout, /\ntriage\/killed-session +\S+\/killed +1 +ended: .*: mount triage\/killed-session again\n/)
  t.match(stdout, /\ntriage\/paused-session +\S+\/paused +1 \(5 B\) +paused for [^:]+: .*401.*\n/)
  t.match(stdout, /\ntriage\/ready-session +\S+\/ready +0 +ready\n/)
  t.match(
    stdout,
    /\ntriage\/stopped-session +\S+\/stopped +- +silent: its daemon \(pid \d+\) does not answer\n/,
  )
})

void t.test('a mount that was detached is listed while it uploads', async (t) => {
  const mounted = await mountEmulator(t, { emulator: { latencyMs: 5 } })
  mounted.emulator.hold({ verb: 'upload' })
  await mounted.ok('echo 1 > late')
  t.equal((await mounted.start('umount', ['-l', '-i', mounted.directory]).ended).code, 0)
  t.ok(
    await eventually(async () =>
      / 1 .* detached: pid \d+ uploads what is left/.test((await mounted.command(['list'])).stdout),
    ),
  )
  mounted.emulator.clearFaults()
})

void t.test('status --watch reports each second until Ctrl-C, which is no failure', async (t) => {
  const mounted = await mountEmulator(t, { emulator: { latencyMs: 5 } })
  const watching = mounted.startCommand(['status', '--watch', mounted.directory])
  await watching.until((text) => text.split('everything is uploaded').length > 2)
  watching.child.kill('SIGINT')
  t.match(await watching.ended, { code: 0, stderr: '' })
  const json = mounted.startCommand(['status', '-w', '--json', mounted.directory])
  const lines = (await json.until((text) => text.split('\n').length > 2)).split('\n')
  t.match(JSON.parse(lines[1] ?? ''), { pid: mounted.pid, service: { state: 'ready' } })
  t.equal((await mounted.command(['unmount', mounted.directory])).code, 0)
  t.match(await json.ended, { code: 0, stderr: `${mounted.directory} was unmounted\n` })
})

void t.test('status --watch of a daemon that is killed says so', async (t) => {
  const mounted = await mountEmulator(t, { emulator: { latencyMs: 5 } })
  const watching = mounted.startCommand(['status', '--watch', mounted.directory])
  await watching.until((text) => text.includes('everything is uploaded'))
  process.kill(mounted.pid, 'SIGKILL')
  t.match(await watching.ended, { code: 1, stderr: /has ended: mount .* again\n$/ })
})

void t.test('a terminal is drawn over, within its width and height', async (t) => {
  const clock = new FakeClock()
  const abort = new AbortController()
  const written: string[] = []
  const texts = [
    'first\nline\n',
    `${'\u4e2d'.repeat(20)}\n`,
    Array.from({ length: 9 }, (_, line) => line).join('\n'),
  ]
  const output = { isTTY: true, columns: 11, rows: 6, write: (text: string) => written.push(text) }
  const read = (): Promise<string | undefined> => Promise.resolve(texts[written.length])
  const watching = watch(read, abort.signal, output, clock)
  for (let round = 1; round < texts.length; round++) {
    await clock.untilWaiting(1)
    clock.advance(1000)
  }
  await clock.untilWaiting(1)
  abort.abort()
  await watching
  t.strictSame(written, [
    '\u001b[Jfirst\nline\n',
    `\u001b[2A\r\u001b[J${'\u4e2d'.repeat(5)}\n`,
    '\u001b[1A\r\u001b[J0\n1\n2\n3\n…\n',
    '\n',
  ])
})
