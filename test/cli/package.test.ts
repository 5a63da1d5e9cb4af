/* What npm publishes: packed, installed into an empty prefix without dev dependencies, and used. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { startEmulator } from '../../src/emulator/emulator.ts'

async function run(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout, stderr }
}

void t.test('the packed program runs, mounts, and can be imported', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'mount-session-package-'))
  const prefix = join(root, 'prefix')
  const directory = join(root, 'mnt')
  mkdirSync(directory)

  const packed = await run('npm', ['pack', '--silent', '--pack-destination', root])
  t.equal(packed.code, 0, packed.stderr)
  const [tarball = ''] = readdirSync(root).filter((name) => name.endsWith('.tgz'))
  const installed = await run('npm', [
    ...[
      'install',
      '--global',
      '--prefix',
      prefix,
      '--omit=dev',
      '--prefer-offline',
      '--no-audit',
      '--no-fund',
    ],
    join(root, tarball),
  ])
  t.equal(installed.code, 0, installed.stderr)

  const program = join(prefix, 'bin/mount-session')
  const library = join(prefix, 'lib/node_modules/mount-session')
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
  t.match(await run(program, ['--version']), { code: 0, stdout: `${version}\n` })
  t.same(readdirSync(library).toSorted(), [
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'dist',
    'node_modules',
    'package.json',
  ])
  t.notOk(readdirSync(join(library, 'node_modules')).includes('typescript'))
  const imported = await run(process.execPath, [
    '--input-type=module',
    '--eval',
    `const all = await import(${JSON.stringify(`file://${library}/dist/index.js`)}); console.log(typeof all.SessionClient)`,
  ])
  t.match(imported, { code: 0, stdout: 'function\n' })

  const seed = { agent: 'agent', session: 'session-0001' }
  const emulator = await startEmulator({ data: join(root, 'data'), seed: [seed], seedFiles: true })
  const env = {
    HOME: root,
    FOUNDRY_PROJECT_ENDPOINT: emulator.endpoint,
    MOUNT_SESSION_TOKEN: emulator.token,
  }
  try {
    t.match(await run(program, ['agent/session-0001', directory], env), { code: 0, stderr: '' })
    const sandbox = emulator.filesDirectory(seed.agent, seed.session)
    const read = await run('timeout', ['20', 'cat', join(directory, 'README.md')])
    t.equal(read.stdout, readFileSync(join(sandbox, 'README.md'), 'utf8'))
    await run('timeout', ['20', 'sh', '-c', 'echo written > "$1/new"', 'sh', directory])
    t.match(await run(program, ['unmount', directory], env), { code: 0, stderr: '' })
    t.equal(readFileSync(join(sandbox, 'new'), 'utf8'), 'written\n')
  } finally {
    await run(program, ['unmount', '--force', directory], env)
    await emulator.close()
    /* fails on a mount that is still there, and leaves it alone */
    rmdirSync(directory)
    rmSync(root, { recursive: true })
  }
})
