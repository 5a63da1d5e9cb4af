/**
 * The link to the service is dead while programs go on writing. `DEAD_LINK_SECONDS` (default 4) is for how long;
 * the promise is about 60 and more.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startDelayLink } from '../../scripts/bench/delay-link.ts'
import { startTestEmulator, type TestEmulator } from '../emulator-server.ts'
import { type Mounted, mount, treeOf } from './rig.ts'

const seconds = Number(process.env['DEAD_LINK_SECONDS'] ?? 4)

/* what is seen before the link dies; a directory that was never listed cannot be looked into without it */
const before = `mkdir -p d/below agent; echo base > edited; echo old > config; echo going > gone; echo moving > moved
  for i in 1 2 3 4 5; do echo "$i" > d/below/$i; done; exec 7>> log; echo begun >&7`

/* every kind of change, again and again; $1 is for how many seconds */
const work = `exec 7>> log
  mkdir new; rm gone; mv moved d/moved; mv d/below d/above
  end=$((SECONDS + $1)); n=0
  while [ $SECONDS -lt $end ]; do
    n=$((n + 1))
    echo "line $n" >&7
    echo "edit $n" >> edited
    echo "config $n" > config.tmp; mv config.tmp config
    echo "file $n" > new/$((n % 20))
    mkdir -p scratch; echo x > scratch/x; rm -r scratch
    test "$(cat config)" = "config $n"
    echo "$n"
    sleep 0.1
  done`

/** What the same work leaves on a local disk, however often it went round; null for what counts the rounds. */
function expected(rounds: number): Record<string, string | null> {
  const count = (word: string, to = rounds): string =>
    Array.from({ length: to }, (_, index) => `${word} ${index + 1}\n`).join('')
  const tree: Record<string, string | null> = { agent: null, d: null, 'd/above': null, new: null }
  for (const number of [1, 2, 3, 4, 5]) tree[`d/above/${number}`] = `${number}\n`
  for (let n = Math.max(1, rounds - 19); n <= rounds; n++) tree[`new/${n % 20}`] = `file ${n}\n`
  return {
    ...tree,
    config: `config ${rounds}\n`,
    'd/moved': 'moving\n',
    edited: `base\n${count('edit')}`,
    log: `begun\n${count('line')}`,
  }
}

async function workWhileDead(
  t: Test,
  mounted: Mounted,
  emulator: () => TestEmulator,
  link: { readonly cut: () => Promise<void> | void; readonly mend: () => Promise<void> | void },
): Promise<void> {
  await mounted.ok(before)
  await mounted.sync()
  await mounted.ok('ls -R')
  await link.cut()
  const written = await mounted.ok(`set -- ${seconds}\n${work}`, { limitMs: (seconds + 20) * 1000 })
  const rounds = written.trim().split('\n').length
  t.comment(`${rounds} rounds in ${seconds} s`)
  const barriers = [
    'python3 -c "import os; fd = os.open(\'edited\', os.O_RDWR); os.fsync(fd)"',
    'python3 -c "import os; fd = os.open(\'new\', os.O_RDONLY); os.fsync(fd)"',
  ]
  for (const barrier of barriers) t.not((await mounted.sh(barrier)).code, 0, `fails: ${barrier}`)
  const refused = await mounted.command(['sync', mounted.directory])
  t.match(refused, { code: 1, stderr: /\S+: .*(not on the service yet|no progress)/ })
  t.ok((await mounted.status()).paths.length > 5, 'status answers')
  await link.mend()
  const unmounted = await mounted.command(['unmount', mounted.mountedAt], { limitMs: 200_000 })
  t.match(unmounted, { code: 0 }, unmounted.stderr)
  const local = join(mounted.root, 'local')
  fs.mkdirSync(local)
  const tree = expected(rounds)
  for (const [path, text] of Object.entries(tree)) {
    fs.mkdirSync(join(local, text === null ? path : join(path, '..')), { recursive: true })
    if (text !== null) fs.writeFileSync(join(local, path), text)
  }
  t.same(treeOf(emulator().home), treeOf(local), 'the service has all that was written, and nothing else')
  t.same(mounted.logged('error'), [])
}

/* what names there are is asked within the TTL, by listings: without a link nobody could tell */
const args = ['--timeout', '2s', '--ttl', '1h']
t.jobs = 2
const limits = { timeout: (seconds + 300) * 1000 }

void t.test(`a link that swallows everything for ${seconds} s of writing`, limits, async (t) => {
  const emulator = await startTestEmulator(t)
  const { hostname, port, pathname } = new URL(emulator.endpoint)
  const link = await startDelayLink({ target: { host: hostname, port: Number(port) } })
  t.teardown(() => link.close())
  const mounted = await mount(
    t,
    { ...emulator, endpoint: `http://127.0.0.1:${link.port}${pathname}` },
    { args },
  )
  await workWhileDead(t, mounted, () => emulator, {
    cut: () => link.setDown(true),
    mend: () => link.setDown(false),
  })
})

void t.test(`a service that takes no connection for ${seconds} s of writing`, limits, async (t) => {
  let emulator = await startTestEmulator(t)
  const mounted = await mount(t, emulator, { args })
  await workWhileDead(t, mounted, () => emulator, {
    cut: () => emulator.close(),
    mend: async () => {
      const { port } = new URL(emulator.endpoint)
      emulator = await startTestEmulator(t, {
        port: Number(port),
        token: emulator.token,
        data: join(emulator.home, '../../../../..'),
      })
    },
  })
})

void t.test('what was written is reached at once when nobody answers what else is there', async (t) => {
  const emulator = await startTestEmulator(t)
  fs.mkdirSync(join(emulator.home, 'agent/deep'), { recursive: true })
  const mounted = await mount(t, emulator)
  await mounted.ok('ls -R')
  await emulator.close()
  await mounted.ok('echo 1 > agent/deep/notes')
  await mounted.ok('sleep 2.5', { limitMs: 10_000 })
  t.equal(await mounted.ok('echo 2 >> agent/deep/notes; cat agent/deep/notes', { limitMs: 10_000 }), '1\n2\n')
})

void t.test(
  'what was listed longer ago than the TTL is worked with while the link is dead',
  limits,
  async (t) => {
    const emulator = await startTestEmulator(t)
    const { hostname, port, pathname } = new URL(emulator.endpoint)
    const link = await startDelayLink({ target: { host: hostname, port: Number(port) } })
    t.teardown(() => link.close())
    const mounted = await mount(t, { ...emulator, endpoint: `http://127.0.0.1:${link.port}${pathname}` })
    await mounted.ok(
      'mkdir -p d/empty d/below; for name in a b c e; do echo $name > d/$name; done; echo x > d/below/x',
    )
    await mounted.sync()
    await mounted.ok('ls -R; sleep 3')
    link.setDown(true)
    // longer than the service is waited for, shorter than a call that is repeated
    const limit = { limitMs: 45_000 }
    await mounted.ok(
      `echo new > d/new & echo > d/other & mkdir d/made & mv d/a d/moved & rm d/b & rmdir d/empty & ls d >&2
    for job in $(jobs -p); do wait $job; done`,
      limit,
    )
    t.ok((await mounted.status()).silent, 'status says so')
    await mounted.ok(
      'echo replaced > d/e; echo made > d/made/file; mv d/c d/e; mv d/below d/above; stat d/moved',
      limit,
    )
    t.equal(await mounted.ok('ls d', limit), 'above\ne\nmade\nmoved\nnew\nother\n')
    t.match(mounted.logged('warn').join('\n'), 'the service does not answer')
    link.setDown(false)
    const unmounted = await mounted.command(['unmount', mounted.mountedAt], { limitMs: 200_000 })
    t.match(unmounted, { code: 0 }, unmounted.stderr)
    t.same(treeOf(join(emulator.home, 'd')), {
      above: null,
      'above/x': 'x\n',
      e: 'c\n',
      made: null,
      'made/file': 'made\n',
      moved: 'a\n',
      new: 'new\n',
      other: '\n',
    })
    t.same(mounted.logged('error'), [])
  },
)
