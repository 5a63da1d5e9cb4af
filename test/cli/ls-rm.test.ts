/**
 * `ls` and `rm` as they are run: what they print, how many requests they make, and what they leave alone.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import type { EmulatorOptions } from '../../src/emulator/options.ts'
import { startTestEmulator, type TestEmulator } from '../emulator-server.ts'
import { mountEmulator } from '../mount/rig.ts'
import { eventually } from '../mount/programs.ts'
import { mountSessionCommand, type Outcome } from './command.ts'

interface Scene {
  readonly emulator: TestEmulator
  readonly run: (...args: string[]) => Promise<Outcome>
}

/** `tree`: paths, those of directories with a slash at their end. */
async function scene(
  t: Test,
  tree: readonly string[],
  options: Partial<EmulatorOptions> = {},
): Promise<Scene> {
  const emulator = await startTestEmulator(t, options)
  const home = mkdtempSync(join(tmpdir(), 'mount-session-ls-'))
  t.teardown(() => rmSync(home, { recursive: true, force: true, maxRetries: 3 }))
  fill(emulator, tree)
  const env = { FOUNDRY_PROJECT_ENDPOINT: emulator.endpoint, MOUNT_SESSION_TOKEN: emulator.token, TZ: 'UTC' }
  return { emulator, run: (...args) => mountSessionCommand(home, args, env) }
}

function fill({ home }: TestEmulator, tree: readonly string[]): void {
  for (const path of tree) {
    mkdirSync(join(home, path.endsWith('/') ? path : dirname(path)), { recursive: true })
    if (!path.endsWith('/')) writeFileSync(join(home, path), path)
  }
}

const tree = ['b.txt', '.hidden', 'a/one', 'a/two words', 'a/deep/er/x', 'empty/']

void t.test('ls lists the home, a directory and a file, a line each, in one request', async (t) => {
  const { emulator, run } = await scene(t, tree)
  const target = emulator.target
  t.strictSame(await run('ls', target), { code: 0, stdout: '.hidden\na/\nb.txt\nempty/\n', stderr: '' })
  t.equal(emulator.counts().list, 1)
  t.match(await run('ls', `${target}:/a/`), { code: 0, stdout: 'deep/\none\ntwo words\n' })
  t.match(await run('ls', `${target}:empty`), { code: 0, stdout: '' })
  emulator.resetCounts()
  t.match(await run('ls', `${target}:a/one`), { code: 0, stdout: 'one\n' })
  t.match(emulator.counts(), { list: 2, download: 0, getSession: 0 })
})

void t.test('ls needs no home directory', async (t) => {
  const { target, endpoint, token } = await startTestEmulator(t)
  const env = { FOUNDRY_PROJECT_ENDPOINT: endpoint, MOUNT_SESSION_TOKEN: token }
  t.strictSame(await mountSessionCommand('', ['ls', target], env), { code: 0, stdout: '', stderr: '' })
})

void t.test('ls -l has kind, size and time, and - for a time that is not said', async (t) => {
  const { emulator, run } = await scene(t, ['dir/', 'file'])
  const { stdout } = await run('ls', '-l', emulator.target)
  t.equal(
    stdout,
    'KIND       SIZE  MODIFIED  NAME\ndirectory  -     -         dir/\nfile       4 B   -         file\n',
  )
  const real = await scene(t, ['file'], { modifiedTime: 'real' })
  t.match(
    (await real.run('ls', '-l', real.emulator.target)).stdout,
    /file  4 B   \d{4}-\d\d-\d\d \d\d:\d\d  file/,
  )
})

void t.test('ls -R lists a tree, all pages, one request a page', async (t) => {
  const many = Array.from({ length: 25 }, (_, index) => `many/file-${String(index).padStart(2, '0')}`)
  const { emulator, run } = await scene(t, ['a/deep/x', ...many], { pageSize: 10 })
  const { code, stdout } = await run('ls', '-R', emulator.target)
  t.equal(code, 0)
  const names = many.map((path) => path.slice(5)).join('\n')
  t.equal(stdout, `.:\na/\nmany/\n\na:\ndeep/\n\na/deep:\nx\n\nmany:\n${names}\n`)
  t.equal(emulator.counts().list, 3 + 3)
  const json = JSON.parse((await run('ls', '-R', '--json', `${emulator.target}:a`)).stdout) as unknown
  t.strictSame(json, [
    { path: 'a/deep', name: 'deep', isDirectory: true, size: 0, modified: null },
    { path: 'a/deep/x', name: 'x', isDirectory: false, size: 8, modified: null },
  ])
})

void t.test('ls of what is not there is one line that says what to list', async (t) => {
  const { emulator, run } = await scene(t, tree)
  const { target } = emulator
  const line = (text: string): Outcome => ({ code: 1, stdout: '', stderr: `mount-session: ${text}\n` })
  const remedy = (above: string): string =>
    `no such file or directory: \`mount-session ls ${above}\` lists what there is`
  t.strictSame(await run('ls', `${target}:a/none`), line(`${target}:a/none: ${remedy(`${target}:a`)}`))
  t.strictSame(await run('ls', `${target}:no/where`), line(`${target}:no/where: ${remedy(target)}`))
  t.match(await run('ls', `${target}:b.txt/`), {
    code: 1,
    stderr: /is a file: leave out the slash at its end/,
  })
  t.match(await run('ls', 'demo-agent/no-such-session'), { code: 1, stderr: /session list demo-agent/ })
  t.match(await run('ls', `${target}:../x`), { code: 2 })
  t.match(await run('ls'), { code: 2 })
})

void t.test('rm of a file asks, and without a terminal wants --yes', async (t) => {
  const { emulator, run } = await scene(t, tree)
  const { target, home } = emulator
  const refused = await run('rm', `${target}:b.txt`, `${target}:a/one`)
  t.match(refused, { code: 1, stderr: /deleting 2 files of .* cannot be undone, .* give --yes/ })
  t.equal(emulator.counts().delete, 0)
  t.strictSame(await run('rm', '--yes', `${target}:b.txt`, `${target}:a/one`), {
    code: 0,
    stdout: '',
    stderr: '',
  })
  t.equal(emulator.counts().delete, 2)
  t.strictSame(readdirSync(home).sort(), ['.hidden', 'a', 'empty'])
})

void t.test('rm -r of a directory is one request, and nothing below it is another', async (t) => {
  const { emulator, run } = await scene(t, tree)
  const { target, home } = emulator
  t.match(await run('rm', '--yes', `${target}:a`), { code: 1, stderr: /:a is a directory: give -r/ })
  emulator.resetCounts()
  const done = await run('rm', '-r', '--yes', '--json', `${target}:a`, `${target}:a/one`, `${target}:a`)
  t.strictSame(JSON.parse(done.stdout), [{ target: `${target}:a`, isDirectory: true, deleted: true }])
  t.match(emulator.counts(), { list: 2, delete: 1 })
  t.strictSame(readdirSync(home).sort(), ['.hidden', 'b.txt', 'empty'])
})

void t.test('rm --dry-run says all that would go, and deletes nothing', async (t) => {
  const { emulator, run } = await scene(t, tree)
  const { target } = emulator
  const { code, stdout } = await run('rm', '-r', '--dry-run', `${target}:a`, `${target}:b.txt`)
  t.equal(code, 0)
  const gone = ['a', 'a/deep', 'a/deep/er', 'a/deep/er/x', 'a/one', 'a/two words', 'b.txt']
  const found = stdout.split('\n').map((line) => line.replace(/^would delete .*:|\/$/g, ''))
  t.strictSame(found.filter((line) => line !== '').sort(), gone)
  t.equal(emulator.counts().delete, 0)
})

void t.test('rm goes on past what fails, tells each, and ends with 1', async (t) => {
  const { emulator, run } = await scene(t, tree)
  const { target, home } = emulator
  emulator.fault({ kind: 'status', status: 403, verb: 'delete', path: 'b.txt' })
  const ended = await run('rm', '--yes', '--json', `${target}:b.txt`, `${target}:none`, `${target}:.hidden`)
  t.equal(ended.code, 1)
  t.match(ended.stderr, /:none: no such file or directory/)
  t.match(ended.stderr, /:b\.txt: delete b\.txt: 403/)
  t.match(JSON.parse(ended.stdout), [
    { target: `${target}:.hidden`, deleted: true },
    { target: `${target}:b.txt`, deleted: false, error: /403/ },
    { target: `${target}:none`, deleted: false, error: /no such file/ },
  ])
  t.strictSame(readdirSync(home).sort(), ['a', 'b.txt', 'empty'])
})

void t.test('rm never deletes the home of a session', async (t) => {
  const { emulator, run } = await scene(t, tree)
  for (const home of ['', ':', ':/', ':.'])
    t.match(await run('rm', '-r', '--yes', `${emulator.target}:b.txt`, `${emulator.target}${home}`), {
      code: 2,
      stderr: /the home of a session is never deleted itself/,
    })
  t.match(emulator.counts(), { list: 0, delete: 0 })
})

void t.test('where the session is mounted, ls sees what waits there and rm deletes it', async (t) => {
  const mounted = await mountEmulator(t, { emulator: { latencyMs: 5 } })
  const { emulator, ok, directory } = mounted
  const { target, home } = emulator
  const upload = emulator.hold({ verb: 'upload' })
  await ok('mkdir tree; echo 1 > tree/one; echo 2 > tree/two')
  t.match(await mounted.command(['ls', '-R', target]), {
    code: 0,
    stdout: '.:\ntree/\n\ntree:\none\ntwo\n',
    stderr: '',
  })
  t.strictSame(readdirSync(home), [])
  upload.release()
  await ok('echo 3 > tree/three')
  t.match(await mounted.command(['rm', '-r', '--yes', `${target}:tree`]), { code: 0, stdout: '', stderr: '' })
  t.strictSame(readdirSync(home), [])
  t.equal(await ok('ls'), '', directory)
})

void t.test('what a killed daemon left is named, and the service is listed', async (t) => {
  const mounted = await mountEmulator(t, { emulator: { latencyMs: 5 } })
  const { emulator, ok, pid } = mounted
  const { target } = emulator
  fill(emulator, ['there'])
  emulator.hold({ verb: 'upload' })
  await ok('echo 1 > late')
  process.kill(pid, 'SIGKILL')
  t.ok(
    await eventually(async () => {
      const { code, stdout, stderr } = await mounted.command(['ls', target])
      const line = `mount-session: ${target}: the service is used, 1 change on this machine not seen: late: mount it, or \`mount-session recover ${target}\`\n`
      return code === 0 && stdout === 'there\n' && stderr === line
    }),
  )
})

void t.test('Ctrl-C ends a listing that waits in the mount', async (t) => {
  const mounted = await mountEmulator(t, { emulator: { latencyMs: 5 } })
  const { emulator } = mounted
  fill(emulator, ['dir/'])
  const held = emulator.hold({ verb: 'list', path: 'dir' })
  const listing = mounted.startCommand(['ls', '-R', emulator.target])
  await held.reached
  listing.child.kill('SIGINT')
  t.match(await listing.ended, { signal: 'SIGINT', stdout: '', stderr: 'mount-session: interrupted\n' })
})
