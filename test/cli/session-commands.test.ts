/* `mount-session session …` as a user runs it, against the emulator. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { showAge } from '../../src/cli/amounts.ts'
import type { EmulatorOptions } from '../../src/emulator/options.ts'
import { agent, session, startTestEmulator, type TestEmulator } from '../emulator-server.ts'
import { needs } from '../programs/installed.ts'
import { mountSessionCommand, type Outcome } from './command.ts'
import { compileCache } from '../compile-cache.ts'

interface Rig {
  readonly emulator: TestEmulator
  readonly directory: string
  readonly env: Readonly<Record<string, string>>
  readonly run: (...args: readonly string[]) => Promise<Outcome>
  /** Types at a terminal of the command, each line after the text before it was seen. */
  readonly type: (args: readonly string[], steps: readonly object[]) => Promise<void>
}

async function start(t: Test, options: Partial<EmulatorOptions> = {}): Promise<Rig> {
  const emulator = await startTestEmulator(t, options)
  const root = mkdtempSync(join(tmpdir(), 'mount-session-sessions-'))
  const home = join(root, 'home')
  const directory = join(root, 'mnt')
  for (const made of [home, directory]) mkdirSync(made)
  const env = { FOUNDRY_PROJECT_ENDPOINT: emulator.endpoint, MOUNT_SESSION_TOKEN: emulator.token }
  const run = (...args: readonly string[]): Promise<Outcome> => mountSessionCommand(home, args, env)
  t.teardown(async () => {
    await run('unmount', '--force', directory)
    rmSync(root, { recursive: true })
  })
  return {
    ...{ emulator, directory, env, run },
    async type(args, steps) {
      const script = join(import.meta.dirname, 'typing.py')
      const main = join(import.meta.dirname, '../../src/cli/main.ts')
      const child = spawn('python3', [script, process.execPath, main, ...args], {
        env: { PATH: process.env['PATH'], ...compileCache, HOME: home, TERM: 'xterm', ...env },
        stdio: ['pipe', 'ignore', 'pipe'],
      })
      let complaint = ''
      child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text))
      child.stdin.end(steps.map((step) => `${JSON.stringify(step)}\n`).join(''))
      const [code] = (await once(child, 'close')) as [number | null]
      t.equal(code, 0, complaint)
    },
  }
}

const target = `${agent}/${session}`
const parsed = (text: string): unknown => JSON.parse(text) as unknown
const linesOf = (text: string): unknown[] => text.trimEnd().split('\n').map(parsed)
const idsOf = ({ stdout }: Outcome): unknown[] =>
  (parsed(stdout) as { session: unknown }[]).map(({ session: id }) => id)

void t.test(
  'a session is made under a name of the service, or of its maker; stdout has it alone',
  async (t) => {
    const { run } = await start(t)
    const made = await run('session', 'create', agent)
    t.match(made, { code: 0, stderr: '', stdout: /^demo-agent\/[A-Za-z0-9_-]{8,}\n$/ })
    t.match(await run('session', 'show', made.stdout.trim()), { code: 0, stdout: made.stdout })
    t.same(await run('session', 'create', agent, '--id', 'ticket-4711'), {
      ...{ code: 0, stdout: `${agent}/ticket-4711\n`, stderr: '' },
    })
    const { stdout } = await run('session', 'create', agent, '--agent-version', '1', '--json')
    const now = Date.now() / 1000
    const { created, ...said } = parsed(stdout) as { created: number }
    t.ok(Math.abs(created - now) < 600, 'Unix seconds')
    t.match(said, { agent, session: String, status: 'active', version: '1', stopped: null })
  },
)

void t.test('a name or a version that cannot be is refused before anything is sent', async (t) => {
  const { run, emulator } = await start(t)
  for (const [flag, value] of [
    ['--id', 'short'],
    ['--id', 'with/slash'],
    ['--id', 'x'.repeat(129)],
    ['--agent-version', '@latest'],
  ] as const)
    t.match(await run('session', 'create', agent, flag, value), {
      ...{ code: 2, stdout: '', stderr: new RegExp(`^mount-session: ${flag}: "`) },
    })
  t.match(await run('session', 'create', 'a/b'), { code: 2 })
  t.match(await run('session', 'stop', agent), { code: 2, stderr: /is not of the form AGENT\/SESSION/ })
  t.match(await run('session', 'list', agent, '--limit', '0'), { code: 2 })
  t.match(await run('session', 'list', agent, '--order', 'up'), { code: 2 })
  t.match(await run('session', 'delete'), { code: 2, stderr: /missing required argument/ })
  t.equal(
    Object.values(emulator.counts()).reduce((sum, count) => sum + count),
    0,
  )
})

void t.test('a session that is there already, an agent or a version that is not', async (t) => {
  const { run, emulator } = await start(t)
  t.match(await run('session', 'create', agent, '--id', session), {
    ...{
      code: 1,
      stdout: '',
      stderr: /^mount-session: demo-agent\/demo-session-0001 is there already: .*\n$/,
    },
  })
  t.match(await run('session', 'create', 'nobody'), {
    ...{ code: 1, stderr: `mount-session: nobody: no such agent at ${emulator.endpoint}\n` },
  })
  t.match(await run('session', 'create', agent, '--agent-version', '7'), {
    ...{ code: 1, stderr: /no such agent, or no version 7 of it/ },
  })
  t.match(await run('session', 'list', 'nobody'), { code: 1, stderr: /no such agent at/ })
})

void t.test('a session whose making ended unclearly is not made twice, and is found', async (t) => {
  const { run, emulator } = await start(t)
  emulator.fault({ kind: 'reset', when: 'after-commit', verb: 'createSession', times: 2 })
  t.match(await run('session', 'create', agent), {
    ...{ code: 1, stdout: '', stderr: /there may be a new session .*session list demo-agent --order desc/ },
  })
  t.match(await run('session', 'create', agent, '--id', 'ticket-4711'), {
    ...{ code: 1, stderr: /"mount-session session show demo-agent\/ticket-4711" shows it/ },
  })
  t.equal(emulator.counts().createSession, 2)
  t.equal(idsOf(await run('session', 'list', agent, '--json')).length, 3)
})

void t.test(
  'a service that is busy is asked again, one that cannot be reached is told at once',
  async (t) => {
    const { run, emulator } = await start(t)
    emulator.fault({ kind: 'status', status: 429, retryAfter: 0, verb: 'createSession', times: 2 })
    t.match(await run('session', 'create', agent), { code: 0, stderr: '' })
    emulator.fault({ kind: 'status', status: 503, retryAfter: 0, verb: 'listSessions', times: 2 })
    t.match(await run('session', 'list', agent), { code: 0, stderr: '' })
    const endpoint = 'http://127.0.0.1:9/api/projects/p'
    for (const words of [
      ['create', agent],
      ['list', agent],
      ['show', target],
      ['stop', target],
      ['delete', '--yes', target],
    ])
      t.match(await run('session', ...words, '--endpoint', endpoint), {
        ...{ code: 1, stdout: '', stderr: /^mount-session: .*the connection failed \(ECONNREFUSED\)\n$/ },
      })
  },
)

void t.test(
  'sessions are listed as a table, all or so many, with no page more than that takes',
  async (t) => {
    const seed = Array.from({ length: 250 }, (_, number) => ({
      ...{ agent, session: `session-${String(number).padStart(4, '0')}` },
    }))
    const { run, emulator } = await start(t, { seed })
    const requests = async (...words: readonly string[]): Promise<[number, unknown[]]> => {
      emulator.resetCounts()
      const listed = await run('session', 'list', agent, '--json', ...words)
      return [emulator.counts().listSessions, idsOf(listed)]
    }
    const [pages, ids] = await requests()
    t.equal(pages, 3)
    t.same(ids.toSorted(), seed.map(({ session: id }) => id).toSorted())
    const [newest, ...rest] = await requests('--order', 'desc', '--limit', '5')
    t.equal(newest, 1)
    t.same(rest[0], ids.toReversed().slice(0, 5))
    const [two, first] = await requests('--order', 'asc', '--limit', '150')
    t.equal(two, 2)
    t.same(first, ids.slice(0, 150))
    t.equal((await requests('--limit', '100'))[0], 1)

    const { stdout, stderr } = await run('session', 'list', agent, '--limit', '1')
    t.equal(stderr, '')
    t.match(stdout.split('\n'), [
      /^SESSION +STATUS +VERSION +AGE +LAST USED +EXPIRES$/,
      /^demo-agent\/session-0000 +active +1 +\d+[sm] +\d+[sm] +29d$/,
      '',
    ])
  },
)

void t.test('a page that fails is asked for again', async (t) => {
  const { run, emulator } = await start(t, { pageSize: 1 })
  await run('session', 'create', agent)
  emulator.fault({ kind: 'reset', when: 'before-commit', verb: 'listSessions', every: 2, times: 1 })
  t.equal(idsOf(await run('session', 'list', agent, '--json')).length, 2)
})

void t.test('an empty list is said, and is no error', async (t) => {
  const { run, emulator } = await start(t)
  await emulator.deleteSession(agent, session)
  t.match(await run('session', 'list', agent), {
    ...{ code: 0, stdout: '', stderr: /^no sessions of demo-agent .*session create demo-agent/ },
  })
  t.same(await run('session', 'list', agent, '--json'), { code: 0, stdout: '[]\n', stderr: '' })
})

void t.test(
  'sessions are shown as lines or as JSON; one that is not there does not hide the others',
  async (t) => {
    const { run } = await start(t)
    await run('session', 'stop', target)
    const shown = await run('session', 'show', `${agent}/not-there-0001`, target)
    t.equal(shown.code, 1)
    t.match(
      shown.stderr,
      /^mount-session: demo-agent\/not-there-0001: no such agent or session .*`mount-session session list demo-agent` lists/,
    )
    t.match(
      shown.stdout,
      /^demo-agent\/demo-session-0001\n {2}status +idle\n {2}version +1\n {2}created +\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ \(\d+[sm] ago\)\n/,
    )
    t.match(shown.stdout, / {2}stopped {4}.*\n {2}expires {4}.* \(in 29d\)\n$/)
    const json = await run('session', 'show', '--json', target, target)
    t.match(linesOf(json.stdout), [{ agent, session, status: 'idle', mounted: [], waiting: 0 }])
    t.equal(json.code, 0)
  },
)

void t.test('a session is stopped, and stopped already', async (t) => {
  const { run } = await start(t)
  t.same(await run('session', 'stop', target), { code: 0, stdout: `${target} stopped\n`, stderr: '' })
  t.same(await run('session', 'stop', target), {
    code: 0,
    stdout: `${target} was stopped already\n`,
    stderr: '',
  })
  const several = await run('session', 'stop', `${agent}/not-there-0001`, target, '--json')
  t.equal(several.code, 1)
  t.match(several.stderr, /not-there-0001: no such agent or session/)
  t.same(linesOf(several.stdout), [{ agent, session, stopped: true, already: true }])
})

void t.test('nothing is deleted without a terminal to ask at, or --yes', async (t) => {
  const { run, emulator } = await start(t)
  t.match(await run('session', 'delete', target), {
    ...{ code: 1, stdout: '' },
    stderr:
      /^mount-session: deleting demo-agent\/demo-session-0001 \(active, made .* ago, .*\) with all files cannot be undone, .*give --yes\n$/,
  })
  t.equal(emulator.counts().deleteSession, 0)
  const several = await run('session', 'delete', '--yes', `${agent}/not-there-0001`, target)
  t.match(several, { code: 1, stdout: `${target} deleted\n`, stderr: /not-there-0001: no such/ })
  t.equal(emulator.counts().deleteSession, 1)
  const { stdout } = await run('session', 'create', agent)
  const json = await run('session', 'delete', '-y', '--json', stdout.trim())
  t.match([json.code, ...linesOf(json.stdout)], [0, { agent, deleted: true }])
})

void t.test('at a terminal it is asked first', needs('python3'), async (t) => {
  const { type, emulator } = await start(t)
  await type(
    ['session', 'delete', target],
    [{ expect: 'cannot be undone. Go on? [y/N]' }, { type: '\r' }, { expect: 'stopped' }],
  )
  t.equal(emulator.counts().deleteSession, 0)
  await type(
    ['session', 'delete', target],
    [{ expect: 'cannot be undone. Go on? [y/N]' }, { type: 'y\r' }, { expect: `${target} deleted` }],
  )
  t.equal(emulator.counts().deleteSession, 1)
})

void t.test('several are named before the question', async (t) => {
  const { run, emulator } = await start(t)
  const names = ['ticket-0001', 'ticket-0002', 'ticket-0003']
  for (const id of names) await run('session', 'create', agent, '--id', id)
  const targets = names.map((id) => `${agent}/${id}`)
  t.match((await run('session', 'delete', ...targets)).stderr.split('\n'), [
    ...names.map((id) => new RegExp(`^ {2}demo-agent/${id} \\(active, made `)),
    /^mount-session: deleting these 3 sessions with all files cannot be undone/,
  ])
  t.equal(emulator.counts().deleteSession, 0)
  t.same(await run('session', 'delete', '--yes', ...targets), {
    ...{ code: 0, stdout: targets.map((name) => `${name} deleted\n`).join(''), stderr: '' },
  })
})

void t.test('a name that could not be written is no success', async (t) => {
  const { env } = await start(t)
  const main = join(import.meta.dirname, '../../src/cli/main.ts')
  const child = spawn(
    'sh',
    ['-c', 'exec "$@" > /dev/full', 'sh', process.execPath, main, 'session', 'list', agent],
    {
      env: { PATH: process.env['PATH'], ...compileCache, HOME: tmpdir(), ...env },
      stdio: ['ignore', 'inherit', 'pipe'],
    },
  )
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text))
  const [code] = (await once(child, 'close')) as [number | null]
  t.equal(code, 1)
  t.match(complaint, /^mount-session: the output could not be written: ENOSPC/)
})

void t.test('a session of another isolation key is neither listed nor touched', async (t) => {
  const { run, emulator, directory } = await start(t)
  const byHeader = { type: 'Entra', isolation_key_source: { kind: 'Header' } }
  const file = `${directory}.json`
  writeFileSync(file, JSON.stringify({ agent_endpoint: { authorization_schemes: [byHeader] } }))
  t.match(await run('agent', 'patch', agent, '--file', file), { code: 0, stderr: '' })
  const theirs = `${agent}/not-ours-0001`
  const key = ['--isolation-key', 'theirs']
  await run('session', 'create', agent, '--id', 'not-ours-0001', ...key)
  t.same(idsOf(await run('session', 'list', agent, '--json')), [session])
  for (const words of [['show'], ['stop'], ['delete', '--yes']]) {
    const refused = await run('session', ...words, theirs)
    t.match(refused, { code: 1, stdout: '', stderr: /need its --isolation-key/ })
    t.match(await run('session', ...words, theirs, '--isolation-key', 'ours'), {
      ...{ code: 1, stderr: /another --isolation-key than the given one/ },
    })
  }
  t.equal(emulator.counts().deleteSession, 0)
  t.match(await run('session', 'stop', theirs, ...key), { code: 0, stdout: `${theirs} stopped\n` })
})

void t.test(
  'made and mounted at once; what is done to it says that it is mounted, and what waits',
  async (t) => {
    const { run, emulator, directory } = await start(t)
    const mounted = `${agent}/mounted-0001`
    t.same(await run('session', 'create', agent, '--id', 'mounted-0001', '--mount', directory), {
      ...{ code: 0, stdout: `${mounted}\n`, stderr: '' },
    })
    const shown = await run('session', 'show', '--json', mounted)
    t.match(linesOf(shown.stdout), [{ mounted: [directory], waiting: 0 }])
    t.match(await run('session', 'stop', mounted), { code: 0, stderr: /is mounted at .* wakes it again/ })

    emulator.fault({ kind: 'status', status: 503, verb: 'upload' })
    const writer = spawn('sh', ['-c', 'echo kept > "$1/kept"', 'sh', directory], { stdio: 'inherit' })
    await once(writer, 'close')
    t.match((await run('session', 'show', mounted)).stdout, /waiting +1 change on this machine only\n/)
    t.match(await run('session', 'delete', mounted), {
      ...{ code: 1, stderr: /is mounted at .*\n.*has 1 change on this machine .*recover --export/ },
    })
    await run('unmount', '--force', directory)
    const dead = await run('session', 'show', '--json', mounted)
    t.match(linesOf(dead.stdout), [{ mounted: [], waiting: 1 }])
  },
)

void t.test(
  'nothing is made for a directory that cannot be mounted on; a mount that fails says what there is',
  async (t) => {
    const { run, emulator, directory } = await start(t)
    appendFileSync(join(directory, 'in-the-way'), '')
    t.match(await run('session', 'create', agent, '--mount', directory), { code: 1, stdout: '' })
    t.equal(emulator.counts().createSession, 0)
    rmSync(join(directory, 'in-the-way'))
    emulator.fault({ kind: 'status', status: 403, verb: 'getSession' })
    const words = ['session', 'create', agent, '--id', 'mounted-0001', '--mount', directory]
    t.match(await run(...words), {
      ...{ code: 1, stdout: `${agent}/mounted-0001\n` },
      stderr:
        /your role may not use it.*\n.*mounted-0001 is there, and not mounted: "mount-session demo-agent/,
    })
  },
)

void t.test('Ctrl-C ends a call, and what it may have done is said', async (t) => {
  const { emulator, env } = await start(t)
  const main = join(import.meta.dirname, '../../src/cli/main.ts')
  for (const { verb, words, said } of [
    {
      verb: 'createSession',
      words: ['create', agent],
      said: /there may be a new session all the same: .*\n$/,
    },
    {
      verb: 'deleteSession',
      words: ['delete', '--yes', target],
      said: /^mount-session: demo-agent\/demo-session-0001: interrupted; it may be done all the same: .*\n$/,
    },
    { verb: 'listSessions', words: ['list', agent], said: /^mount-session: interrupted\n$/ },
  ] as const) {
    const hold = emulator.hold({ verb, at: 'answer' })
    const child = spawn(process.execPath, [main, 'session', ...words], {
      env: { PATH: process.env['PATH'], ...compileCache, HOME: tmpdir(), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let complaint = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text))
    await hold.reached
    child.kill('SIGINT')
    const [code] = (await once(child, 'close')) as [number | null]
    hold.release()
    t.equal(code, 1)
    t.match(complaint, said)
  }
})

void t.test('ages are one word', (t) => {
  t.same([0, -5000, 119_000, 120_000, 7_199_000, 7_200_000, 172_800_000].map(showAge), [
    ...['0s', '0s', '119s', '2m', '119m', '2h', '2d'],
  ])
  t.end()
})
