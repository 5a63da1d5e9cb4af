/**
 * What reading costs the service, counted by it: walks by the programs that people use, proven contents, big
 * files. A TTL of a minute keeps the counts exact on a machine of any speed.
 */
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startTestEmulator, type TestEmulator } from '../emulator-server.ts'
import { eventually } from './programs.ts'
import { mount, type Mounted } from './rig.ts'

const directories = 20
const filesOfEach = 10
const minute = ['--ttl', '60s']
const longAgo = 1_700_000_000

const emulator = await startTestEmulator(t, { latencyMs: 5, modifiedTime: 'real' })

function put(path: string, content: string | Buffer): void {
  const file = join(emulator.home, path)
  fs.mkdirSync(join(file, '..'), { recursive: true })
  fs.writeFileSync(file, content)
  /* long enough ago for its time to prove its content */
  fs.utimesSync(file, longAgo, longAgo)
}

function plant(tree: string): void {
  for (let directory = 0; directory < directories; directory += 1)
    for (let file = 0; file < filesOfEach; file += 1)
      put(`${tree}/directory-${directory}/file-${file}`, `content ${file} of ${directory}\n`)
}

/** A file of nothing, which takes no room on the emulator's disk. */
function makeBig(name: string, bytes: number): void {
  put(name, '')
  fs.truncateSync(join(emulator.home, name), bytes)
  fs.utimesSync(join(emulator.home, name), longAgo, longAgo)
}

function residentBytes(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8')
  return 1024 * Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1])
}

/** The files that hold what the mount has downloaded. */
function cachedContents({ env }: Mounted): string[] {
  return fs
    .readdirSync(env['XDG_CACHE_HOME'] ?? '', { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.parentPath.endsWith('/contents'))
    .map(({ parentPath, name }) => join(parentPath, name))
}

/** How often each thing was asked for. */
function asked({ calls }: Pick<TestEmulator, 'calls'>): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { verb, path } of calls()) {
    const what = `${verb} ${path}`
    counts.set(what, (counts.get(what) ?? 0) + 1)
  }
  return counts
}

function noneTwice(t: Test): void {
  const twice = [...asked(emulator)].filter(([, count]) => count > 1)
  t.strictSame(twice, [], 'nothing is asked for twice')
}

const treeWalks = {
  'ls -lR': 'ls -lR "$tree"',
  find: 'find "$tree"',
  du: 'du -a "$tree"',
}
const fileWalks = {
  'grep -r': 'test "$(grep -r content "$tree" | wc -l)" = 200',
  'cp -r': 'cp -r "$tree" "$HOME/copied"; test "$(ls -R "$HOME/copied" | grep -c file-)" = 200',
  'tar c': 'test "$(tar c "$tree" | tar t | grep -c file-)" = 200',
  'rsync -a': 'rsync -a "$tree" "$HOME/synced"; test "$(ls -R "$HOME/synced" | grep -c file-)" = 200',
}
const walks = Object.entries({ ...treeWalks, ...fileWalks })

/* each walk has a tree that nobody has looked at */
const treeOf = (index: number): string => `tree-${index}`
for (const index of walks.keys()) plant(treeOf(index))
plant('work')
put('proven', Buffer.alloc(300_000, 'proven '))
const mounted = await mount(t, emulator, { args: minute })
await mounted.ok('ls')

for (const [index, [name, script]] of walks.entries()) {
  const files = name in fileWalks ? directories * filesOfEach : 0
  void t.test(`${name}: ${directories + 1} listings and ${files} downloads, and none again`, async (t) => {
    /* as a person who types: one tree at once after the other would be a walk through all of them */
    await mounted.ok('sleep 2.1')
    emulator.resetCounts()
    await mounted.ok(`tree=${treeOf(index)}; ${script} > /dev/null`)
    await mounted.ok(`tree=${treeOf(index)}; rm -rf "$HOME/copied" "$HOME/synced"; ${script} > /dev/null`)
    noneTwice(t)
    const { list, download } = emulator.counts()
    t.strictSame({ list, download }, { list: directories + 1, download: files })
  })
}

void t.test('grep -r of proven files, later than the TTL: no download', async (t) => {
  const impatient = await mount(t, emulator, { args: ['--ttl', '1s'] })
  await impatient.ok(`grep -r content ${treeOf(0)} > /dev/null`)
  for (let pass = 0; pass < 2; pass += 1) {
    await impatient.ok('sleep 1.1')
    emulator.resetCounts()
    await impatient.ok(`grep -r content ${treeOf(0)} > /dev/null`)
    t.equal(emulator.counts().download, 0)
  }
})

void t.test('a second cat of a proven file asks nothing of us: the kernel has its pages', async (t) => {
  emulator.resetCounts()
  const hash = await mounted.ok('sha256sum proven')
  /* whatever were read from here again would show */
  const contents = cachedContents(mounted).filter((file) => fs.statSync(file).size === 300_000)
  t.equal(contents.length, 1)
  for (const file of contents) fs.writeFileSync(file, Buffer.alloc(300_000, 'wrong '))
  t.equal(await mounted.ok('sha256sum proven'), hash)
  t.strictSame(Object.fromEntries(asked(emulator)), { 'download proven': 1 })
})

void t.test('cold git status: nothing twice, and little beside what git reads', async (t) => {
  const env = { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_SYSTEM: '/dev/null' }
  const git = 'git -c user.name=Tester -c user.email=tester@example.com -c gc.auto=0'
  const commit = `${git} init -q -b main && ${git} add -A && ${git} commit -q -m all && ${git} gc -q`
  execFileSync('sh', ['-c', commit], { cwd: join(emulator.home, 'work'), env })
  emulator.resetCounts()
  await mounted.ok('test -z "$(git -c safe.directory=* -C work --no-optional-locks status --porcelain)"')
  noneTwice(t)
  const needless = [...asked(emulator).keys()].filter((what) =>
    /\.git\/(logs|hooks|branches|description)/.test(what),
  )
  t.strictSame(needless, [])
  const { list, download } = emulator.counts()
  t.ok(list <= directories + 1 + 11, `${list} listings: the work tree, and of .git what git looks at`)
  t.ok(download <= directories * filesOfEach + 10, `${download} downloads: the files, and ten of .git`)
})

void t.test('a directory of 10,000: each page once, ls gives all', async (t) => {
  const names = 10_000
  fs.mkdirSync(join(emulator.home, 'crowd'))
  for (let index = 0; index < names; index += 1)
    fs.writeFileSync(join(emulator.home, 'crowd', `name-${String(index).padStart(5, '0')}`), '')
  const patient = await mount(t, emulator, { args: minute })
  await patient.ok('ls')
  emulator.resetCounts()
  t.equal(await patient.ok('stat -c %s crowd/name-00000'), '0\n')
  t.equal(await patient.ok('ls crowd | wc -l'), `${names}\n`)
  t.equal(emulator.counts().list, names / 100, 'each page once')
  await patient.ok(
    'ls -l crowd > /dev/null; for i in 1 2 3; do test ! -e crowd/missing-$i; done; ls crowd > /dev/null',
  )
  t.equal(emulator.counts().list, names / 100, 'and never again within the TTL')
})

void t.test('a big file: its first bytes cost little more, and all of it no memory', async (t) => {
  makeBig('huge', 1_000_000_000)
  const patient = await mount(t, emulator, { args: minute })
  emulator.resetCounts()
  t.equal(await patient.ok('head -c 100 huge | wc -c'), '100\n')
  t.strictSame(Object.fromEntries(asked(emulator)), { 'list ': 1, 'download huge': 1 })
  /* a call is counted when it is over */
  const hasEnded = async (): Promise<boolean> => (await patient.status()).calls['download'] !== undefined
  t.ok(await eventually(hasEnded), 'the download is over')
  const { calls, bytes } = await patient.status()
  t.strictSame(calls['download'], { aborted: 1 })
  t.ok(bytes.downloaded < 500_000_000, `${bytes.downloaded} bytes came`)

  const before = residentBytes(patient.pid, 'VmRSS')
  t.equal(await patient.ok('cat huge | wc -c', { limitMs: 120_000 }), '1000000000\n')
  const grown = residentBytes(patient.pid, 'VmHWM') - before
  t.ok(grown < 100_000_000, `${grown} bytes more than before`)
  t.equal(emulator.counts().download, 2)
})
