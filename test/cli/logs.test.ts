/**
 * `logs` as a user runs it, and `followLogs` beside it: over streams that end, replay and break anywhere.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { SessionClient } from '../../src/client/session-client.ts'
import { followLogs, type FollowLogsOptions } from '../../src/logs/console-lines.ts'
import { agent, session, startTestEmulator, type TestEmulator } from '../emulator-server.ts'
import { eventually } from '../mount/programs.ts'
import { needs } from '../programs/installed.ts'
import { mountSessionCommand } from './command.ts'
import { compileCache } from '../compile-cache.ts'

const program = join(import.meta.dirname, '../../src/cli/main.ts')

function service(emulator: TestEmulator): Record<string, string> {
  return { FOUNDRY_PROJECT_ENDPOINT: emulator.endpoint, MOUNT_SESSION_TOKEN: emulator.token }
}

/** The command while it runs. */
function start(t: Test, emulator: TestEmulator, ...words: readonly string[]) {
  const child = spawn(process.execPath, [program, 'logs', ...words, emulator.target], {
    env: { PATH: process.env['PATH'], ...compileCache, HOME: t.testdir({}), TZ: 'UTC', ...service(emulator) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const said = { out: '', complaint: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said.out += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.complaint += text))
  t.teardown(() => child.kill('SIGKILL'))
  return { child, said }
}

void t.test('without -f it prints what there is and ends; each form, each choice', async (t) => {
  const emulator = await startTestEmulator(t, { logStream: { replayLines: 300 } })
  const home = t.testdir({})
  const logs = async (...words: readonly string[]): Promise<readonly string[]> => {
    const ran = await mountSessionCommand(home, ['logs', ...words, emulator.target], {
      TZ: 'UTC',
      ...service(emulator),
    })
    t.match(ran, { code: 0, stderr: '' }, words.join(' '))
    return ran.stdout.split('\n').slice(0, -1)
  }
  t.equal(
    (await logs('--stream', 'stdout,stderr')).length,
    0,
    'an agent that has said nothing keeps nobody waiting',
  )
  emulator.appendLog(agent, session, ['one', 'two', 'three'])
  emulator.appendLog(agent, session, ['bad'], 'stderr')
  t.match((await logs()).join('\n'), /"session_state"[^]*"status"[^]*"message":"one"[^]*"message":"bad"/)
  t.strictSame(
    (await logs('--format', 'json', '--stream', 'stdout')).map(
      (line) => (JSON.parse(line) as { message: string }).message,
    ),
    ['one', 'two', 'three'],
  )
  t.match(await logs('-n', '2', '--format', 'text'), [
    /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} stdout three$/,
    /^\S+ \S+ stderr bad$/,
  ])
  t.match(await logs('-n', '2', '--format', 'text', '--stream', 'stdout'), [/stdout two$/, /stdout three$/])
  t.strictSame(await logs('-n', '0'), [])
  t.strictSame(await logs('--since', '2100-01-01', '--stream', 'stdout'), [])
  t.equal((await logs('--since', '1h', '--stream', 'stdout')).length, 3)
})

void t.test('-f goes on over ends of the stream, without a line lost or doubled, until Ctrl-C', async (t) => {
  const emulator = await startTestEmulator(t, {
    logStream: { splitFrames: true, replayLines: 5, maxConnectionMs: 300 },
  })
  emulator.appendLog(agent, session, ['line 0'])
  const { child, said } = start(t, emulator, '-f', '--stream', 'stdout', '--format', 'json')
  const messages = (): readonly string[] =>
    said.out
      .split('\n')
      .slice(0, -1)
      .map((line) => (JSON.parse(line) as { message: string }).message)
  const expected = ['line 0']
  const connections = (): number => emulator.calls().filter(({ verb }) => verb === 'logStream').length
  for (let next = 1; connections() < 4 || next < 20; next++) {
    t.ok(
      await eventually(() => messages().length === expected.length),
      `${messages().length} of ${expected.length}`,
    )
    if (next % 5 === 0) emulator.closeLogStreams({ reset: true })
    emulator.appendLog(agent, session, [`line ${next} ü`])
    expected.push(`line ${next} ü`)
  }
  t.ok(await eventually(() => messages().length === expected.length))
  child.kill('SIGINT')
  t.same(await once(child, 'close'), [0, null])
  t.strictSame(messages(), expected)
})

void t.test('a reader that goes, SIGTERM, a session that is deleted', async (t) => {
  const emulator = await startTestEmulator(t, { logStream: { maxConnectionMs: 200 } })
  emulator.appendLog(agent, session, ['said'])
  const terminated = start(t, emulator, '-f')
  t.ok(await eventually(() => terminated.said.out.includes('said')))
  terminated.child.kill('SIGTERM')
  t.same(await once(terminated.child, 'close'), [0, null])

  const left = start(t, emulator, '-f')
  t.ok(await eventually(() => left.said.out.includes('said')))
  left.child.stdout.destroy()
  emulator.appendLog(agent, session, ['nobody reads this', 'nor this'])
  t.same(await once(left.child, 'close'), [0, null])
  t.equal(left.said.complaint, '')

  const deleted = start(t, emulator, '-f')
  t.ok(await eventually(() => deleted.said.out.includes('said')))
  const client = new SessionClient({ endpoint: emulator.endpoint, credential: { token: emulator.token } })
  t.teardown(() => client.close())
  await client.deleteSession(agent, session)
  t.same(await once(deleted.child, 'close'), [1, null])
  t.equal(
    deleted.said.complaint,
    `mount-session: ${emulator.target} was deleted meanwhile: \`mount-session session list ${agent}\` lists those there are\n`,
  )
})

void t.test(
  'on a terminal it is text, with what a terminal would obey written out',
  needs('script'),
  async (t) => {
    const emulator = await startTestEmulator(t)
    emulator.appendLog(agent, session, ['red \u001b[31m'])
    emulator.appendLog(agent, session, ['bad'], 'stderr')
    const line = `exec '${process.execPath}' '${program}' logs -n 2 ${emulator.target}`
    const shown = async (env: Readonly<Record<string, string>>): Promise<string> => {
      const child = spawn('script', ['-qec', line, '/dev/null'], {
        env: {
          PATH: process.env['PATH'],
          ...compileCache,
          HOME: t.testdir({}),
          TERM: 'xterm',
          ...service(emulator),
          ...env,
        },
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      let out = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
      t.same(await once(child, 'close'), [0, null])
      return out
    }
    t.match(await shown({}), /stdout red \\x1b\[31m\r\n.*\u001b\[31mstderr bad\u001b\[39m/)
    t.match(await shown({ NO_COLOR: '1' }), /^\S+ \S+ stdout red \\x1b\[31m\r\n\S+ \S+ stderr bad\r\n$/)
  },
)

void t.test('a reader that stands still keeps Ctrl-C from nothing', async (t) => {
  const emulator = await startTestEmulator(t)
  emulator.appendLog(agent, session, ['said'])
  const { child, said } = start(t, emulator, '-f')
  t.ok(await eventually(() => said.out.includes('said')))
  child.stdout.pause()
  const long = 'x'.repeat(64 * 1024)
  for (let line = 0; line < 200; line++) emulator.appendLog(agent, session, [long])
  /* as much as a pipe and our own end take, and then no more */
  const isFull = (): boolean => child.stdout.readableLength >= child.stdout.readableHighWaterMark
  t.ok(await eventually(isFull))
  child.kill('SIGINT')
  t.same(await once(child, 'exit'), [0, null])
})

void t.test('what may not be read is one line', async (t) => {
  const emulator = await startTestEmulator(t)
  emulator.fault({ verb: 'logStream', kind: 'status', status: 403 })
  const ran = await mountSessionCommand(t.testdir({}), ['logs', '-f', emulator.target], service(emulator))
  t.match(ran, { code: 1, stdout: '', stderr: /^mount-session: [^\n]*your role may not use it[^\n]*\n$/ })
})

void t.test('a session that is not there, a path, a number that is too large', async (t) => {
  const emulator = await startTestEmulator(t)
  const home = t.testdir({})
  const logs = (...words: readonly string[]) =>
    mountSessionCommand(home, ['logs', ...words], service(emulator))
  t.match(await logs(`${agent}/no-such-session`), { code: 1, stderr: /no such agent or session/ })
  t.match(await logs(`${emulator.target}:path`), { code: 2, stderr: /leave out the path/ })
  t.match(await logs('-n', '301', emulator.target), {
    code: 0,
    stderr: /has the last 300 lines, no more: -n 301/,
  })
  t.match(await logs('-n', '-1', emulator.target), { code: 2, stderr: /--tail/ })
  t.match(await logs('--since', 'yesterday', emulator.target), { code: 2, stderr: /neither a time ago/ })
})

void t.test(
  'followLogs of the library: what waits for the sandbox is waited for, and leaving ends the connection',
  async (t) => {
    const emulator = await startTestEmulator(t)
    emulator.appendLog(agent, session, ['said'])
    const client = new SessionClient({ endpoint: emulator.endpoint, credential: { token: emulator.token } })
    t.teardown(() => client.close())
    const collect = async (options: FollowLogsOptions): Promise<readonly string[]> => {
      const found: string[] = []
      for await (const { message } of followLogs(client, agent, session, options)) found.push(message ?? '')
      return found
    }
    emulator.fault({ verb: 'logStream', kind: 'status', status: 503, times: 1 })
    t.strictSame(await collect({ follow: false, tail: 1 }), ['said'])
    for await (const { stream } of followLogs(client, agent, session)) if (stream === 'stdout') break
    await t.rejects(collect({ signal: AbortSignal.abort(new Error('enough')) }), { message: 'enough' })
    await t.rejects(collect({ agentVersion: '1', signal: AbortSignal.timeout(500) }), {
      name: 'TimeoutError',
    })
  },
)
