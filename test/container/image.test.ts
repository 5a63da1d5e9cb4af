/**
 * The container image: built, measured, used as any user, and mounted where the host sees it.
 *
 * By hand, `CONTAINER_TESTS=1`, since it takes minutes; `CONTAINER_IMAGE=IMAGE` is one that is built already. Built
 * with `CONTAINER_BASE`, else with what `scripts/container/base` has made, else with the Dockerfile's own base.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startTestEmulator, type TestEmulator } from '../emulator-server.ts'
import { type Ended, eventually, start } from '../mount/programs.ts'

t.setTimeout(600_000)

const mostBytes = 200e6
const localBase = 'localhost/mount-session-base'
const root = join(import.meta.dirname, '..', '..')
const engine = ['podman', 'docker'].find((name) => spawnSync(name, ['info']).status === 0) ?? ''

const succeeds = (...args: string[]): boolean => spawnSync(engine, args).status === 0

/** What the image is built with; undefined: the Dockerfile says. */
function givenBase(): string | undefined {
  const given = process.env['CONTAINER_BASE']
  return given ?? (succeeds('image', 'inspect', localBase) ? localBase : undefined)
}

function usualBase(): string {
  const text = fs.readFileSync(join(root, 'scripts/container/Dockerfile'), 'utf8')
  return /^ARG BASE=(.*)$/m.exec(text)?.[1] ?? ''
}

function missing(): string | false {
  if (process.env['CONTAINER_TESTS'] !== '1') return 'it takes minutes: by hand, with CONTAINER_TESTS=1'
  if (engine === '') return 'neither podman nor docker answers'
  if (process.env['CONTAINER_IMAGE'] !== undefined || givenBase() !== undefined) return false
  return succeeds('image', 'inspect', usualBase()) || succeeds('pull', usualBase())
    ? false
    : `${usualBase()} cannot be pulled: scripts/container/base makes another to build with`
}

function built(): string {
  const given = process.env['CONTAINER_IMAGE']
  if (given !== undefined) return given
  const tag = 'localhost/mount-session-test'
  const base = givenBase()
  /* podman would keep what each step made, 2 GB */
  const ofEngine = engine === 'podman' ? ['--', '--layers=false'] : []
  const options = ['--tag', tag, ...(base === undefined ? [] : ['--base', base]), ...ofEngine]
  execFileSync(join(root, 'scripts/container/build'), options, {
    env: { ...process.env, CONTAINER_ENGINE: engine },
    stdio: ['ignore', 'ignore', 'inherit'],
    timeout: 500_000,
  })
  t.teardown(() => void spawnSync(engine, ['rmi', '--force', tag]))
  return tag
}

/* podman asks for as many as there can be, which a user who is limited may not have */
const limits = engine === 'podman' ? ['--ulimit', 'nofile=1024', '--ulimit', 'nproc=4096'] : []

const skip = missing()
const image = skip === false ? built() : ''

/** `options` of the engine, then words for the program. */
const run = (options: readonly string[], words: readonly string[]): Promise<Ended> =>
  start(engine, ['run', '--rm', '--network', 'host', ...limits, ...options, image, ...words], {
    limitMs: 60_000,
  }).ended

/** Prints what an expression says, in the image. */
const evaluate = (expression: string, env: Readonly<Record<string, string>> = {}): Promise<Ended> =>
  run(
    [
      ...['--entrypoint', 'node', '--workdir', '/usr/lib/mount-session'],
      ...Object.entries(env).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
    ],
    ['--input-type=module', '--eval', `console.log(${expression})`],
  )

const toService = (emulator: TestEmulator): string[] => [
  ...['--env', `FOUNDRY_PROJECT_ENDPOINT=${emulator.endpoint}`],
  ...['--env', `MOUNT_SESSION_TOKEN=${emulator.token}`],
]

void t.test('the image is smaller than 200 MB', { skip }, (t) => {
  const size = Number(
    execFileSync(engine, ['image', 'inspect', '--format', '{{.Size}}', image], { encoding: 'utf8' }),
  )
  t.comment(`${size} bytes`)
  t.ok(size > 0 && size < mostBytes, `${size} bytes`)
  t.end()
})

void t.test('it answers as a user who may nothing, and lists a session', { skip }, async (t) => {
  const { version } = JSON.parse(fs.readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  t.match(await run([], ['--version']), { code: 0, stdout: `${version}\n`, stderr: '' })
  t.match(await run([], []), { code: 0, stdout: /^Usage: mount-session /, stderr: '' })
  t.match(await evaluate('process.getuid()'), { code: 0, stdout: '65532\n' })
  const emulator = await startTestEmulator(t, { seedFiles: true })
  const listed = await run(['--read-only', ...toService(emulator)], ['ls', `${emulator.target}:`])
  t.match(listed, { code: 0, stdout: /^README.md$/m, stderr: '' })
})

void t.test('it has neither compiler nor sources nor tests', { skip }, async (t) => {
  const { stdout } = await evaluate(
    `JSON.stringify((await import('node:fs')).globSync('/{usr,etc,root,state,cache}/**'))`,
  )
  const files = JSON.parse(stdout) as string[]
  const unwanted =
    /\/typescript(\/|$)|\.(ts|mts|cts|map|test\.m?js)$|^\/usr\/lib\/mount-session\/(src|test|scripts)\//
  t.ok(files.some((file) => file.endsWith('/dist/cli/main.js')))
  t.strictSame(
    files.filter((file) => unwanted.test(file)),
    [],
  )
})

void t.test('what was taken out of the packages is not missed', { skip }, async (t) => {
  const { dependencies } = JSON.parse(fs.readFileSync(join(root, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  const names = JSON.stringify(Object.keys(dependencies))
  const loaded = `(await Promise.all(${names}.map((name) => import(name)))).length`
  t.match(await evaluate(loaded), { code: 0, stdout: `${Object.keys(dependencies).length}\n`, stderr: '' })
  /* as far as it goes without a network: nobody listens at port 9 */
  const asked = await evaluate(
    `await new (await import('@azure/identity')).DefaultAzureCredential().getToken('scope/.default').catch(String)`,
    {
      AZURE_TOKEN_CREDENTIALS: 'WorkloadIdentityCredential',
      AZURE_TENANT_ID: 'tenant',
      AZURE_CLIENT_ID: 'client',
      AZURE_FEDERATED_TOKEN_FILE: '/etc/passwd',
      AZURE_AUTHORITY_HOST: 'https://127.0.0.1:9',
    },
  )
  t.match(asked, { code: 0, stdout: /^AggregateAuthenticationError: [^]*: endpoints_resolution_error: / })
})

/** A directory from which mounts go both ways between the host and containers. */
function sharedDirectory(t: Test): string {
  const directory = fs.mkdtempSync(join(tmpdir(), 'mount-session-container-'))
  const call = (...words: [string, ...string[]]): unknown => execFileSync(words[0], words.slice(1))
  fs.chmodSync(directory, 0o755)
  call('mount', '--bind', directory, directory)
  t.teardown(() => {
    call('umount', '--recursive', directory)
    /* fails on a mount that is still there, and leaves it alone */
    for (const name of fs.readdirSync(directory)) fs.rmdirSync(join(directory, name))
    fs.rmdirSync(directory)
  })
  call('mount', '--make-rshared', directory)
  return directory
}

const mayMount = process.getuid?.() === 0 && fs.existsSync('/dev/fuse')
const skipMount = skip !== false || mayMount ? skip : 'needs root, for a shared directory, and /dev/fuse'

for (const [who, options] of [
  ['root', ['--user', '0']],
  ['a user other than root, with allow_other,', []],
] as const)
  void t.test(
    `mounted by ${who} in a container, the session is on the host, and SIGTERM uploads before it ends`,
    { skip: skipMount },
    async (t) => {
      const emulator = await startTestEmulator(t)
      const shared = sharedDirectory(t)
      const directory = join(shared, 'session')
      fs.mkdirSync(directory)
      fs.chownSync(directory, options.length === 0 ? 65532 : 0, 0)
      const name = `mount-session-test-${process.pid}`
      const container = run(
        [
          ...['--name', name, '--device', '/dev/fuse', '--cap-add', 'SYS_ADMIN'],
          ...(engine === 'docker' ? ['--security-opt', 'apparmor=unconfined'] : []),
          ...['--volume', `${shared}:/sessions:rshared`],
          ...[...options, ...toService(emulator)],
        ],
        ['-f', emulator.target, '/sessions/session', '-o', 'allow_other'],
      )
      const onHost = (script: string): Promise<Ended> => start('sh', ['-c', script, 'sh', directory]).ended
      t.teardown(() => void spawnSync(engine, ['rm', '--force', name]))
      const isMounted = async (): Promise<boolean> => (await onHost('mountpoint -q "$1"')).code === 0
      if (!(await eventually(isMounted))) throw new Error((await container).stderr)
      const hold = emulator.hold({ verb: 'upload' })
      t.match(await onHost('echo text > "$1/file" && cat "$1/file"'), { code: 0, stdout: 'text\n' })
      await hold.reached
      execFileSync(engine, ['kill', '--signal', 'TERM', name])
      t.match(
        await onHost('cat "$1/file"'),
        { code: 0, stdout: 'text\n' },
        'it goes on while something waits',
      )
      hold.release()
      const ended = await container
      t.match(ended, { code: 0, stderr: /unmounted, everything is uploaded/ })
      t.equal(fs.readFileSync(join(emulator.home, 'file'), 'utf8'), 'text\n')
      t.match(await onHost('mountpoint -q "$1"'), { code: 32 }, 'unmounted on the host, too')
    },
  )
