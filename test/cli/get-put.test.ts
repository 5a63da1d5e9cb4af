/**
 * `get` and `put` as a user runs them, beside what test/transfer has.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import * as fs from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startTestEmulator, type TestEmulator } from '../emulator-server.ts'
import { mountSessionCommand } from './command.ts'
import { compileCache } from '../compile-cache.ts'

const program = join(import.meta.dirname, '../../src/cli/main.ts')

function service(emulator: TestEmulator): Record<string, string> {
  return { FOUNDRY_PROJECT_ENDPOINT: emulator.endpoint, MOUNT_SESSION_TOKEN: emulator.token }
}

void t.test(
  '1,000 files in 50 directories: as many requests as there are files, and listings to get them',
  async (t) => {
    const emulator = await startTestEmulator(t)
    const work = t.testdir({ tree: {} })
    for (let i = 0; i < 1000; i++) {
      const directory = join(work, 'tree', `d${i % 50}`)
      fs.mkdirSync(directory, { recursive: true })
      fs.writeFileSync(join(directory, `f${i}`), `${i}`)
    }
    const count = (verb: string): number => emulator.calls().filter((call) => call.verb === verb).length
    const put = await mountSessionCommand(
      work,
      ['put', '-r', '--json', 'tree', `${emulator.target}:`],
      service(emulator),
      work,
    )
    /* on a slow machine it says how far it has come */
    t.match(put, { code: 0, stderr: /^(putting: .*\n)*$/ })
    t.match(JSON.parse(put.stdout), { files: 1000, bytes: 2890, failures: [] })
    t.strictSame([count('upload'), count('list'), count('mkdir')], [1000, 0, 0])
    const got = await mountSessionCommand(
      work,
      ['get', '-r', `${emulator.target}:tree`, 'back'],
      service(emulator),
      work,
    )
    t.match(got, { code: 0, stdout: '', stderr: /^(getting: .*\n)*$/ })
    t.strictSame([count('download'), count('list')], [1000, 52], 'the home is listed to find the tree')
    t.equal(fs.readFileSync(join(work, 'back/d7/f357'), 'utf8'), '357')
  },
)

void t.test('- is stdin and stdout', async (t) => {
  const emulator = await startTestEmulator(t)
  const home = t.testdir({})
  const env = { PATH: process.env['PATH'], ...compileCache, HOME: home, ...service(emulator) }
  const pipe = async (...words: readonly string[]): Promise<string> => {
    const child = spawn('sh', ['-c', words.join(' ')], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
    t.same(await once(child, 'close'), [0, null])
    return said
  }
  const command = `"${process.execPath}" "${program}"`
  await pipe(`seq 100000 | ${command} put - ${emulator.target}:a/numbers`)
  t.equal(fs.statSync(join(emulator.home, 'a/numbers')).size, 588_895)
  t.equal(
    await pipe(`${command} get ${emulator.target}:a/numbers - | md5sum; seq 100000 | md5sum`).then(
      (sums) => new Set(sums.trim().split('\n')).size,
    ),
    1,
  )
  t.equal(
    await pipe(`${command} get ${emulator.target}:a/numbers - | head -n 1`),
    '1\n',
    'a reader that goes is no failure',
  )
  const tooLong = await pipe(
    `head -c 1001 /dev/zero | ${command} put --max-file-size 1000 - ${emulator.target}:long 2>&1; echo $?`,
  )
  t.match(tooLong, /-: over the 1000 bytes that the service takes, nothing was sent.*\n1\n/)
  t.notOk(fs.existsSync(join(emulator.home, 'long')))
})

async function interrupted(
  t: Test,
  words: readonly string[],
  emulator: TestEmulator,
  cwd: string,
  ready: Promise<void>,
): Promise<void> {
  const env = { PATH: process.env['PATH'], ...compileCache, HOME: cwd, ...service(emulator) }
  const child = spawn(process.execPath, [program, ...words], {
    env,
    cwd,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text))
  await ready
  child.kill('SIGINT')
  t.same(await once(child, 'close'), [1, null])
  t.equal(complaint, 'mount-session: interrupted\n')
}

void t.test('Ctrl-C leaves no half file on either side', async (t) => {
  const emulator = await startTestEmulator(t)
  const work = t.testdir({ local: 'x'.repeat(100) })
  fs.writeFileSync(join(emulator.home, 'large'), 'x'.repeat(4_000_000))
  const download = emulator.hold({ verb: 'download' })
  await interrupted(t, ['get', '-r', `${emulator.target}:`, 'copy'], emulator, work, download.reached)
  download.release()
  t.strictSame(fs.readdirSync(join(work, 'copy')), [])
  const upload = emulator.hold({ verb: 'upload' })
  await interrupted(t, ['put', 'local', `${emulator.target}:`], emulator, work, upload.reached)
  upload.release()
})

void t.test(
  'what is wrong with the command line ends with 2, a session that is not there with 1',
  async (t) => {
    const emulator = await startTestEmulator(t)
    const run = (...words: readonly string[]) => mountSessionCommand(t.testdirName, words, service(emulator))
    t.testdir({})
    for (const words of [
      ['get', 'local'],
      ['put', 'a', 'b'],
      ['put', 'a'],
      ['get', `${emulator.target}:a`, `${emulator.target}:b`, '-'],
    ])
      t.match(
        await run(...words),
        { code: 2, stderr: /^mount-session: .*\nTry "mount-session (get|put) --help"/ },
        words.join(' '),
      )
    t.match(await run('get', 'demo-agent/no-such-session:a'), {
      code: 1,
      stderr:
        /no such agent or session at .* `mount-session session list demo-agent` lists those there are\n$/,
    })
    t.match(await run('put', '-', `${emulator.target}:`), {
      code: 2,
      stderr: /give the name of the file that - becomes/,
    })
  },
)
