import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, symlinkSync, readFileSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import t from 'tap'
import { announceMount } from '../../src/control/registry.ts'
import { mountSessionCommand } from './command.ts'

const endpoint = ['--endpoint', 'https://account.example/api/projects/p']

void t.test('--version says the version of the package', async (t) => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
  t.same(await mountSessionCommand(t.testdir(), ['--version']), {
    code: 0,
    stdout: `${version}\n`,
    stderr: '',
  })
})

void t.test('on an older Node one line says which is needed, and nothing else is loaded', (t) => {
  const old = ['/usr/bin/node', '/usr/local/bin/node'].find(
    (node) =>
      existsSync(node) && /^v(1\d|2[0-3])\./.test(execFileSync(node, ['--version'], { encoding: 'utf8' })),
  )
  const source = readFileSync('src/cli/main.ts', 'utf8')
  t.notMatch(source, /^import\b/m, 'an old version reads all of a static import before it runs anything')
  const entry = join(t.testdir(), 'main.mjs')
  /* compiled, as it is published; the neighbour that it imports is not there */
  writeFileSync(entry, stripTypeScriptTypes(source))
  const pretended = `Object.defineProperty(process.versions, 'node', { value: '20.1.0' }); await import(process.argv[1])`
  const said = /^mount-session: Node 24 is needed, or a later one; this is 2\d\.\d+\.\d+: install it first\n$/
  const runs = [
    ...(old === undefined ? [] : [[old, entry]]),
    [process.execPath, '--input-type=module', '--eval', pretended, entry],
  ]
  for (const [node = '', ...args] of runs) {
    const { status, stdout, stderr } = spawnSync(node, args, { encoding: 'utf8' })
    t.match({ status, stdout, stderr }, { status: 1, stdout: '', stderr: said }, node)
  }
  t.end()
})

void t.test('--help goes to stdout, of every command, and help says the same', async (t) => {
  const home = t.testdir()
  const whole = await mountSessionCommand(home, ['--help'])
  t.match(whole, {
    code: 0,
    stdout:
      /^Usage: mount-session \[options\] AGENT\/SESSION\[:PATH\] DIR\n +mount-session \[options\] AGENT\/ DIR\n/,
    stderr: '',
  })
  t.same(await mountSessionCommand(home, ['help']), whole)
  for (const command of ['unmount', 'sync', 'status', 'recover', 'emulator']) {
    t.match(whole.stdout, new RegExp(`^ +${command} `, 'm'), `${command} is listed`)
    const asked = await mountSessionCommand(home, [command, '--help'])
    t.match(asked, { code: 0, stdout: new RegExp(`^Usage: mount-session ${command}`), stderr: '' })
    t.same(await mountSessionCommand(home, ['help', command]), asked)
  }
})

void t.test('a command line that cannot be meant ends with 2, one line and a hint', async (t) => {
  const home = t.testdir({ dir: {} })
  const dir = join(home, 'dir')
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /^mount-session: missing required argument 'AGENT\/SESSION\[:PATH\]'/],
    [
      ['umount', dir],
      /^mount-session: "umount" is neither a command nor of the form AGENT\/SESSION or AGENT\//,
    ],
    ...[['ls'], ['get'], ['logs'], ['doctor'], ['session', 'show']].map(
      (command) => [[...command, 'a/'], /^mount-session: "a\/" is not of the form AGENT\/SESSION/] as const,
    ),
    [['help', 'nothing'], /^mount-session: there is no command "nothing"/],
    [['a/b/c', dir, ...endpoint], /^mount-session: "a\/b\/c" is not of the form AGENT\/SESSION/],
    [['a/s', dir], /^mount-session: no endpoint: give --endpoint URL or set FOUNDRY_PROJECT_ENDPOINT/],
    [['a/s', dir, '--endpoint', 'ftp://x'], /^mount-session: endpoint "ftp:\/\/x" is not/],
    [
      ['a/s', dir, ...endpoint, '--tttl', '5'],
      /^mount-session: unknown option '--tttl' \(Did you mean --ttl\?\)/,
    ],
    [['a/s', dir, ...endpoint, '--ttl', 'soon'], /^mount-session: --ttl: "soon" is not a duration/],
    [['a/s', dir, ...endpoint, '-o', 'rwx'], /^mount-session: -o rwx: no such mount option/],
    [['unmount'], /^mount-session: missing required argument 'DIR'/],
    [['unmount', dir, '--timeout', 'x'], /^mount-session: --timeout: "x" is not a duration/],
    [['emulator'], /^mount-session: required option '--data <DIR>' not specified/],
    [['emulator', '--data', dir, '--port', '70000'], /^mount-session: --port: "70000" is not a whole number/],
    [['emulator', '--data', dir, '--log-from', '-'], /^mount-session: --log-from needs a session/],
    [['recover', '--export', dir, '--discard'], /^mount-session: --export and --discard/],
  ]
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await mountSessionCommand(home, args)
    t.match(stderr, message)
    t.match(stderr, /\nTry "mount-session .*--help"\.\n$/)
    t.same([code, stdout, stderr.split('\n').length], [2, '', 3], args.join(' '))
  }
})

void t.test('what stands in the way of mounting ends with 1 and one line', async (t) => {
  const home = t.testdir({ full: { file: '' }, file: '', empty: {} })
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['a/s', join(home, 'none'), ...endpoint], /none does not exist: make it first \(mkdir\)\n$/],
    [['a/s', join(home, 'file'), ...endpoint], /file is not a directory\n$/],
    [['a/s', join(home, 'full'), ...endpoint], /full is not empty: mount on an empty directory\n$/],
    [
      ['a/s', join(home, 'empty'), '--endpoint', 'http://far.example/p'],
      /plain http to another machine; use https\n$/,
    ],
    [
      ['emulator', '--data', join(home, 'data'), '--seed', 'a/short'],
      /^mount-session: 'short' is not a valid session id: 8 to 128 of A-Z a-z 0-9 _ -\n$/,
    ],
    [['unmount', join(home, 'empty')], /empty is not a mounted session\n$/],
    [['status', join(home, 'empty')], /empty is not a mounted session\n$/],
    [['sync', join(home, 'empty')], /empty is not a mounted session\n$/],
    [['recover', 'a/s'], /nothing of a\/s is kept on this machine\n$/],
    [['recover', 'a/'], /nothing of a\/ is kept on this machine\n$/],
  ]
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await mountSessionCommand(home, args)
    t.match(stderr, message)
    t.same([code, stdout, stderr.split('\n').length], [1, '', 2], args.join(' '))
  }
})

void t.test(
  'the mount of a killed daemon: status says so, unmount cleans up and names the session',
  async (t) => {
    const home = t.testdir({ mnt: {} })
    const stateRoot = join(home, '.local/state/mount-session')
    const stateDirectory = join(stateRoot, 'sessions/x')
    const directory = join(home, 'mnt')
    mkdirSync(stateDirectory, { recursive: true })
    writeFileSync(join(stateDirectory, 'control'), '')
    announceMount(stateRoot, { directory, stateDirectory, pid: 4711, agent: 'a', session: 's' })
    const status = await mountSessionCommand(home, ['status', directory])
    t.match(status, { code: 1, stderr: /\(pid 4711\) has ended: mount a\/s again\n$/ })
    for (const args of [
      ['sync', directory, home],
      ['status', directory, '--discard', home],
    ])
      t.match(await mountSessionCommand(home, args), {
        code: 2,
        stderr: new RegExp(`${home} is not in ${directory}\nTry "mount-session ${args[0]} --help"`),
      })
    symlinkSync(directory, join(home, 'link'))
    for (const below of [join(home, 'link/file'), join(directory, 'file'), 'file'])
      t.match(await mountSessionCommand(home, ['sync', directory, below]), {
        code: 1,
        stderr: /daemon has ended/,
      })
    t.match(await mountSessionCommand(home, ['unmount', join(directory, 'file')]), {
      code: 1,
      stderr: `mount-session: ${directory}/file is not a mounted session, but in that at ${directory}\n`,
    })
    const unmount = await mountSessionCommand(home, ['unmount', directory])
    t.match(unmount, {
      code: 1,
      stderr: /had ended; it is unmounted now\..* "mount-session recover a\/s"\n$/,
    })
    t.match(await mountSessionCommand(home, ['status', directory]), { stderr: /is not a mounted session\n$/ })
  },
)

void t.test(
  'of the mount of all sessions of an agent whose daemon was killed the agent is named',
  async (t) => {
    const home = t.testdir({ mnt: {} })
    const stateRoot = join(home, '.local/state/mount-session')
    const stateDirectory = join(stateRoot, 'agents/x')
    const directory = join(home, 'mnt')
    mkdirSync(stateDirectory, { recursive: true })
    announceMount(stateRoot, { directory, stateDirectory, pid: 4711, agent: 'a' })
    const run = (...args: string[]) => mountSessionCommand(home, args)
    t.match(await run('status', join(directory, 's')), {
      stderr: /\(pid 4711\) has ended: mount a\/ again\n$/,
    })
    t.match(await run('list'), { code: 0, stdout: /\na\/ +\S+\/mnt +0 +ended: .*: mount a\/ again\n$/ })
    t.match(JSON.parse((await run('list', '--json')).stdout), [{ agent: 'a', session: null, state: 'ended' }])
    t.match(await run('unmount', join(directory, 's')), {
      stderr: `mount-session: ${directory}/s is not a mounted session, but in the mount of a/ at ${directory}\n`,
    })
    t.match(await run('unmount', directory), {
      code: 1,
      stderr: /mount a\/ again, or "mount-session recover a\/"\n$/,
    })
  },
)

void t.test('a home or cache where nothing can be kept is refused with the remedy', async (t) => {
  const home = t.testdir({ mnt: {} })
  const cases: readonly (readonly [Readonly<Record<string, string>>, RegExp])[] = [
    [{ HOME: '' }, /HOME is "", which is not an absolute path: set it, or XDG_STATE_HOME\n$/],
    [{ HOME: 'relative' }, /HOME is "relative", .*XDG_STATE_HOME\n$/],
    [{ HOME: '', XDG_STATE_HOME: join(home, 'state') }, /HOME is "", .*XDG_CACHE_HOME\n$/],
    [{ HOME: '/proc/1/nothing' }, /cannot be written to \(E.*\): set XDG_STATE_HOME to/],
    [{ XDG_CACHE_HOME: '/proc/1/nothing' }, /cannot be written to \(E.*\): set XDG_CACHE_HOME to/],
  ]
  for (const [env, message] of cases) {
    const { code, stdout, stderr } = await mountSessionCommand(
      home,
      ['a/s', join(home, 'mnt'), ...endpoint],
      env,
    )
    t.match(stderr, message)
    t.same([code, stdout, stderr.split('\n').length], [1, '', 2], JSON.stringify(env))
    t.notOk(existsSync('.local') || existsSync('.cache') || existsSync('relative'), 'nothing is made here')
  }
})
