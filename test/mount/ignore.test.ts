/**
 * Names that stay on this machine: `--ignore` and `--ignore-from`, as a project with dependencies meets them.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { mountEmulator } from './rig.ts'

const install = `mkdir -p node_modules/a/lib node_modules/.bin src/__pycache__
  for i in $(seq 50); do echo $i >node_modules/a/lib/$i.js; done
  echo x >src/__pycache__/main.pyc; echo code >src/main.py; echo y >build.log`

void t.test('ignored directories stay here, whatever is in them, and the rest is uploaded', async (t) => {
  const mounted = await mountEmulator(t, { args: ['--ignore', 'node_modules,__pycache__,*.log'] })
  const { ok, sync, status, emulator, directory } = mounted
  await ok(install)
  await sync()
  const sent = (): string[] => fs.readdirSync(emulator.home, { recursive: true, encoding: 'utf8' }).toSorted()
  t.strictSame(sent(), ['src', 'src/main.py'])
  t.strictSame(await status().then(({ paths }) => paths), [])
  t.equal(await ok('cat node_modules/a/lib/7.js src/__pycache__/main.pyc build.log'), '7\nx\ny\n')
  t.equal(await ok('ls'), 'build.log\nnode_modules\nsrc\n')

  process.kill(mounted.pid, 'SIGKILL')
  await mounted.mountAgain()
  t.equal(
    await ok('cat node_modules/a/lib/7.js; ls node_modules/a/lib | wc -l'),
    '7\n50\n',
    'also after a crash',
  )
  t.match(await mounted.command(['unmount', directory]), { code: 0, stderr: '' })
  const service = {
    ...mounted.env,
    FOUNDRY_PROJECT_ENDPOINT: emulator.endpoint,
    MOUNT_SESSION_TOKEN: emulator.token,
  }
  const plain = (...words: readonly string[]) => mounted.command(words, { env: service })
  t.match(await plain('recover'), { code: 0, stdout: '', stderr: '' }, 'nothing of it waits')
  t.notMatch((await plain('session', 'show', emulator.target)).stdout, 'waiting')
  t.match(await plain(emulator.target, directory), { code: 0 })
  t.equal(await ok('cat node_modules/a/lib/7.js'), '7\n', 'a mount that does not say so keeps it here, too')
  t.match(await plain('unmount', directory), { code: 0, stderr: '' })
  t.strictSame(sent(), ['src', 'src/main.py'])
  await mounted.mountAgain()
  await ok('mv node_modules/a kept; rm -r node_modules src/__pycache__ build.log')
  await sync()
  t.equal(sent().filter((path) => /^kept\/lib\//.test(path)).length, 50, 'under another name they travel')
  t.strictSame(
    sent().filter((path) => !path.startsWith('kept')),
    ['src', 'src/main.py'],
  )
  t.equal(await ok('ls'), 'kept\nsrc\n')
})

void t.test("what the agent has under an ignored name is shown, and stays the agent's", async (t) => {
  const patterns = join(t.testdir({ patterns: '# ours alone\nnode_modules/\n!keep\n' }), 'patterns')
  const { ok, sync, emulator } = await mountEmulator(t, { args: ['--ignore-from', patterns] })
  fs.mkdirSync(join(emulator.home, 'node_modules'))
  fs.writeFileSync(join(emulator.home, 'node_modules/theirs'), 'theirs\n')
  t.equal(
    await ok('cat node_modules/theirs; echo ours >node_modules/ours; ls node_modules'),
    'theirs\nours\ntheirs\n',
  )
  await ok('echo changed >>node_modules/theirs')
  await sync()
  t.strictSame(fs.readdirSync(join(emulator.home, 'node_modules')), ['theirs'])
  t.equal(fs.readFileSync(join(emulator.home, 'node_modules/theirs'), 'utf8'), 'theirs\nchanged\n')
})

void t.test('a file of patterns that cannot be read is told before anything is mounted', async (t) => {
  const mounted = await mountEmulator(t)
  const { emulator } = mounted
  const env = {
    FOUNDRY_PROJECT_ENDPOINT: emulator.endpoint,
    MOUNT_SESSION_TOKEN: emulator.token,
    PATH: process.env['PATH'],
  }
  const failed = await mounted.command(
    ['--ignore-from', '/no/such/file', emulator.target, mounted.mountPoint('other')],
    {
      env,
    },
  )
  t.match(failed, { code: 1, stderr: /^mount-session: .*\/no\/such\/file/ })
})
