/**
 * `mount-session restart`: another daemon goes on under programs at work, and where none can, the one that was there
 * does. `OUTLIVES_RESTARTS`, default 8, is how often; by hand a hundred times.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ask } from '../../src/control/control-client.ts'
import type { StatusReport } from '../../src/control/protocol.ts'
import { mountEmulator } from '../mount/rig.ts'
import { needs } from '../programs/installed.ts'
import { Stage } from './playing.ts'
import { fileTimeout, mountOutliving, type Outliving, timeout } from './rig.ts'
import { damageState, stateDirectory } from './state-file.ts'

t.setTimeout(fileTimeout)

const times = Number(process.env['OUTLIVES_RESTARTS'] ?? 8)

const restart = (mounted: Outliving): ReturnType<Outliving['command']> =>
  mounted.command(['restart', mounted.directory], { limitMs: 60_000 })

/* each in a process of its own, until the test says that it is enough; any error ends it with a trace */
const load = `names = ['appends', 'reads', 'creates', 'renames', 'stats']
def appends(is_over):
    fd = os.open('log', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    n = 0
    while not is_over():
        os.write(fd, b'line %d\\n' % n)
        n += 1
        time.sleep(0.001)
    return n
def reads(is_over):
    fd = os.open('theirs', os.O_RDONLY)
    n = 0
    while not is_over():
        at = (n * 7919) % 250000
        if os.pread(fd, 1000, at) != theirs[at:at + 1000]: raise SystemExit(f'read something else at {at}')
        if read('theirs') != theirs: raise SystemExit('read something else')
        n += 1
    return n
def creates(is_over):
    os.mkdir('made')
    n = 0
    while not is_over():
        fd = os.open(f'made/{n}', os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(fd, b'%d' % n)
        os.close(fd)
        if n % 3 == 0: os.unlink(f'made/{n}')
        n += 1
        time.sleep(0.01)
    return n
def renames(is_over):
    write('name-0', b'named')
    n = 0
    while not is_over():
        os.rename(f'name-{n}', f'name-{n + 1}')
        if read(f'name-{n + 1}') != b'named': raise SystemExit('another file')
        n += 1
        time.sleep(0.01)
    return n
def stats(is_over):
    longest, last = 0, time.monotonic()
    while not is_over():
        os.path.exists(f'missing-{last}')
        now = time.monotonic()
        longest, last = max(longest, now - last), now
        time.sleep(0.001)
    return round(longest * 1000)
theirs = read('theirs')
children = []
for name in names:
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        result = globals()[name](lambda: os.path.exists(os.environ['FLAGS'] + '/enough'))
        os.write(writable, b'%d' % result)
        os._exit(0)
    children.append((name, pid, readable))
stop('enough')
for name, pid, readable in children:
    if os.waitpid(pid, 0)[1] != 0: raise SystemExit(f'{name} failed')
    print(name, os.read(readable, 100).decode())
`

void t.test(
  `restarted ${times} times under programs at work, it loses nothing and fails no call`,
  { timeout: timeout + times * 15_000, ...needs('python3') },
  async (t) => {
    const mounted = await mountOutliving(t, { emulator: { latencyMs: 10 } })
    const limitMs = timeout + times * 10_000
    const theirs = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * i) % 253))
    const scene = await new Stage(mounted).start(load, { theirs }, limitMs)
    await scene.at('enough')
    const pids = new Set([mounted.pid])
    for (let time = 0; time < times; time++) {
      const { code, stdout, stderr } = await restart(mounted)
      t.match({ code, stderr }, { code: 0, stderr: '' }, stderr)
      pids.add(Number(/pid (\d+)\n$/.exec(stdout)?.[1]))
    }
    scene.goOn('enough')
    const ended = await scene.ended
    t.match(ended, { code: 0, stderr: '' }, ended.stderr)
    t.equal(pids.size, times + 1, 'each time by another process')
    const done = (name: string): number =>
      Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(ended.stdout)?.[1] ?? 0)
    t.comment(`the longest pause that a program saw: ${done('stats')} ms`)
    await mounted.sync()
    const stored = (name: string): string => fs.readFileSync(join(scene.home, name), 'utf8')
    const lines = Array.from({ length: done('appends') }, (_, n) => `line ${n}\n`)
    t.equal(stored('log'), lines.join(''))
    t.equal(stored(`name-${done('renames')}`), 'named')
    const made = Array.from({ length: done('creates') }, (_, n) => n).filter((n) => n % 3 !== 0)
    t.strictSame(fs.readdirSync(join(scene.home, 'made')).map(Number).sort(byNumber), made)
    t.strictSame(fs.readdirSync(scene.home).length, 4)
    t.equal(mounted.processes().length, 2, 'a daemon and its keeper are left')
    t.strictSame(mounted.logged('error'), [], 'the daemons met no fault of their own')

    const { restarts } = await mounted.status()
    t.equal(restarts.length, times)
    t.strictSame([...new Set(restarts.map(({ why }) => why))], ['a restart was asked for'])
    t.strictSame((JSON.parse(await mounted.ok('cat .status')) as StatusReport).restarts, restarts)
    await mounted.kill()
    t.match((await mounted.status()).restarts.at(-1), { why: /killed/ })
  },
)

void t.test('an fsync that waits goes on to wait, and returns when the service has the file', async (t) => {
  const mounted = await mountOutliving(t)
  const hold = mounted.emulator.hold({ verb: 'upload' })
  const scene = await new Stage(mounted).start(
    `fd = os.open('file', os.O_WRONLY | os.O_CREAT)
os.write(fd, b'written')
print('at the barrier', flush=True)
os.fsync(fd)
print('returned', flush=True)`,
  )
  await Promise.all([scene.at('the barrier'), hold.reached])
  t.match(await restart(mounted), { code: 0, stderr: '' })
  t.notMatch(scene.stdout(), 'returned')
  hold.release()
  t.match(await scene.ended, { code: 0, stderr: '' })
  t.equal(fs.readFileSync(join(scene.home, 'file'), 'utf8'), 'written')
})

void t.test('a daemon that cannot read the state says so, and the old one stays', async (t) => {
  const mounted = await mountOutliving(t)
  await mounted.ok('echo text > file')
  damageState(mounted, (header) => ({ ...header, version: 9 }))
  t.match(await restart(mounted), {
    code: 1,
    stdout: '',
    stderr: /^[^\n]*kernel-state: written by another version of this program \(9, [^\n]*\n$/,
  })
  t.equal((await mounted.status()).pid, mounted.pid)
  t.equal(await mounted.ok('cat file; echo more >> file; cat file'), 'text\ntext\nmore\n')
  t.strictSame((await mounted.status()).restarts, [])
  damageState(mounted, (header) => ({ ...header, version: 1 }))
  t.match(await restart(mounted), { code: 0 }, 'another time it goes')
  t.equal(await mounted.ok('cat file'), 'text\nmore\n')
})

void t.test('a program that does not exist, or ends at once, takes nothing over', async (t) => {
  const mounted = await mountOutliving(t)
  const directory = stateDirectory(mounted)
  for (const [command, why] of [
    [['/nowhere/node', 'main.js'], /ENOENT/],
    [['/bin/false'], /ended before it could say anything/],
  ] as const)
    await t.rejects(ask(directory, { method: 'restart', command }, { answerWithinMs: 20_000 }), {
      message: why,
    })
  t.equal((await mounted.status()).pid, mounted.pid)
  t.equal(await mounted.ok('echo text > file; cat file'), 'text\n')
  await mounted.kill()
  t.equal(await mounted.ok('cat file'), 'text\n')
})

void t.test('a mount that ends with its daemon is not restarted, and it says why', async (t) => {
  const mounted = await mountEmulator(t)
  const { code, stderr } = await mounted.command(['restart', mounted.directory])
  t.equal(code, 1)
  t.match(stderr, /^mount-session: [^\n]*ends with its daemon[^\n]*--restart off[^\n]*\n$/)
  t.equal((await mounted.status()).pid, mounted.pid)
})

void t.test('restarted after its keeper was killed it has one again', { timeout }, async (t) => {
  const mounted = await mountOutliving(t)
  const keeper = mounted.processes().find((words) => words.includes('mount-session-keeper'))
  process.kill(parseInt(keeper ?? ''), 'SIGKILL')
  t.match(await restart(mounted), { code: 0 })
  await mounted.ok('echo text > file')
  await mounted.kill()
  t.equal(await mounted.ok('cat file'), 'text\n')
})

const byNumber = (a: number, b: number): number => a - b
