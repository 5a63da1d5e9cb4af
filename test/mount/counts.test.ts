/**
 * How many requests common work costs, counted by the service. A TTL of a minute keeps the counts exact on a machine
 * of any speed.
 */

import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { CountedVerb } from '../../src/emulator/emulator.ts'
import { startTestEmulator } from '../emulator-server.ts'
import { mount, type MountedEmulator, mountEmulator, serviceLatencyMs } from './rig.ts'

const minute = ['--ttl', '60s']

type Counts = Partial<Record<CountedVerb, number>>

/** The requests that a script costs until the service has everything; verbs with none are left out. */
async function costOf(mounted: MountedEmulator, script: string): Promise<Counts> {
  await mounted.sync()
  mounted.emulator.resetCounts()
  await mounted.ok(script)
  await mounted.sync()
  return Object.fromEntries(Object.entries(mounted.emulator.counts()).filter(([, count]) => count > 0))
}

const uploads = (mounted: MountedEmulator): readonly string[] =>
  mounted.emulator
    .calls()
    .filter(({ verb }) => verb === 'upload')
    .map(({ path }) => path)

const writing = await mountEmulator(t, { args: minute })

void t.test('200 files of 4 KiB copied: one upload each, no listing of a new directory', async (t) => {
  const source = join(writing.root, 'source')
  fs.mkdirSync(source)
  for (let i = 0; i < 200; i++) fs.writeFileSync(join(source, `file-${i}`), Buffer.alloc(4096, i))
  const { list = 0, ...others } = await costOf(writing, `cp -r '${source}' copied`)
  t.strictSame(others, { upload: 200 })
  t.ok(list <= 1, `${list} listings: of the root, at most`)
  t.equal(new Set(uploads(writing)).size, 200)
})

void t.test('a tree of new directories copied: no listing of any of them', async (t) => {
  const source = join(writing.root, 'tree')
  for (let i = 0; i < 150; i++) {
    const directory = join(source, `directory-${i % 5}`)
    fs.mkdirSync(directory, { recursive: true })
    fs.writeFileSync(join(directory, `file-${i}`), Buffer.alloc(1024, i))
  }
  const counts = await costOf(writing, `cp -r '${source}' grown`)
  t.strictSame({ ...counts, list: 0 }, { upload: 150, list: 0 })
  const listed = writing.emulator.calls().filter(({ verb }) => verb === 'list')
  t.strictSame(
    listed.map(({ path }) => path).filter((path) => path !== ''),
    [],
    'the root alone, if its listing is old',
  )
})

void t.test('a temporary file renamed over another: one upload, under the final name', async (t) => {
  await costOf(writing, 'echo old > config')
  const { list = 0, ...others } = await costOf(writing, 'echo new > .config.tmp; mv .config.tmp config')
  t.strictSame(others, { upload: 1 })
  t.strictSame(uploads(writing), ['config'])
  t.ok(list <= 1, `${list} listings`)
  t.equal(fs.readFileSync(join(writing.emulator.home, 'config'), 'utf8'), 'new\n')
})

void t.test('with an fsync before the rename: each name once, and the final one is never gone', async (t) => {
  const save = `import os
fd = os.open('config.new', os.O_CREAT | os.O_WRONLY); os.write(fd, b'newest\\n'); os.fsync(fd); os.close(fd)
os.rename('config.new', 'config')`
  const { list = 0, ...others } = await costOf(writing, `python3 -c "${save}"`)
  t.strictSame(others, { upload: 2, delete: 1 })
  t.strictSame(uploads(writing), ['config.new', 'config'])
  const deleted = writing.emulator.calls().filter(({ verb }) => verb === 'delete')
  t.strictSame(
    deleted.map(({ path }) => path),
    ['config.new'],
  )
  t.ok(
    list <= 3,
    `${list} listings: one for each name when it is due, and the last look before the old one goes`,
  )
  t.equal(fs.readFileSync(join(writing.emulator.home, 'config'), 'utf8'), 'newest\n')
})

void t.test('sed -i: one upload', async (t) => {
  const { list = 0, ...others } = await costOf(writing, 'sed -i s/newest/newer/ config')
  t.strictSame(others, { upload: 1 })
  t.strictSame(uploads(writing), ['config'])
  t.ok(list <= 1, `${list} listings`)
})

for (const [how, options] of Object.entries({
  'a backup by renaming': 'set nobackup writebackup backupcopy=no',
  'a backup by copying': 'set nobackup writebackup backupcopy=yes',
  'no backup': 'set nobackup nowritebackup',
})) {
  void t.test(`vim :w with ${how}, and a swap file: one upload`, async (t) => {
    await costOf(writing, 'echo text > edited')
    const edit = `vim -u NONE -i NONE -N -c "${options}" -c "normal Anew" -c w -c q edited`
    const { list = 0, ...others } = await costOf(
      writing,
      `script -qec '${edit}' /dev/null < /dev/null > /dev/null`,
    )
    t.strictSame(others, { upload: 1 })
    t.strictSame(uploads(writing), ['edited'])
    t.ok(list <= 1, `${list} listings`)
    t.equal(fs.readFileSync(join(writing.emulator.home, 'edited'), 'utf8'), 'textnew\n')
  })
}

void t.test('created and removed: nothing', async (t) => {
  const { list = 0, ...others } = await costOf(
    writing,
    'echo x > scratch; rm scratch; mkdir made; echo y > made/file; rm -r made; echo z > a; mv a b; rm b',
  )
  t.strictSame(others, {})
  t.ok(list <= 1, `${list} listings`)
})

void t.test('written in many pieces and at once again: one upload', async (t) => {
  t.match(await costOf(writing, 'for i in $(seq 1 20); do echo $i; done > pieces'), { upload: 1 })
  t.match(await costOf(writing, 'echo 1 > again; echo 2 > again; echo 3 >> again'), { upload: 1 })
})

/*
 * A commit of one changed file makes three objects (blob, tree, commit), each written under a temporary name and
 * linked or renamed to its own, and replaces the index, HEAD's branch, two reflogs and COMMIT_EDITMSG; the object
 * directories are new. What git creates and removes on the way (index.lock, HEAD.lock, …) costs nothing.
 */
void t.test('git commit in a small repository: one upload for each file that it leaves', async (t) => {
  const author = 'git -c user.name=Tester -c user.email=tester@example.com'
  await costOf(
    writing,
    `git init -q -b main repository; cd repository; echo 1 > file; git add file; ${author} commit -q -m one`,
  )
  const cost = await costOf(writing, `cd repository; echo 2 > file; ${author} commit -q -a -m two`)
  /* on a machine so busy that a file passes through its temporary name for more than 100 ms, that goes up too */
  const left = uploads(writing)
    .filter((path) => !/\.lock$|tmp_obj/.test(path))
    .toSorted()
  t.comment('git commit', cost, left)
  t.equal(left.length, 9)
  t.equal(new Set(left).size, 9)
})

const emulator = await startTestEmulator(t, { latencyMs: serviceLatencyMs, modifiedTime: 'real' })
const put = (path: string, content: string): void => {
  const file = join(emulator.home, path)
  fs.mkdirSync(join(file, '..'), { recursive: true })
  fs.writeFileSync(file, content)
  /* long enough ago for its time to prove its content */
  fs.utimesSync(file, 1_700_000_000, 1_700_000_000)
}
for (let i = 0; i < 50; i++) put(`siblings/directory-${i}/file`, `${i}`)
for (let i = 0; i < 1000; i++) put(`thousand/file-${i}`, `content ${i}`)
put('proven', 'proven content\n')
const reading: MountedEmulator = { ...(await mount(t, emulator)), emulator }

void t.test('V8 looks after the memory of an idle daemon at no time of its own', (t) => {
  const words = fs.readFileSync(`/proc/${reading.pid}/cmdline`, 'utf8').split('\0')
  t.ok(words.includes('--no-memory-reducer'), 'it would wake the process every eight seconds')
  t.end()
})

void t.test('an unused mount, stat of its root, and df: nothing', async (t) => {
  t.strictSame(
    await costOf(
      reading,
      'stat . > /dev/null; df . > /dev/null; stat -f . > /dev/null; sleep 3; stat . > /dev/null',
    ),
    {},
  )
})

void t.test('ls of one among 50 siblings: one listing', async (t) => {
  await reading.ok('ls siblings > /dev/null')
  t.strictSame(await costOf(reading, 'ls siblings/directory-7'), { list: 1 })
})

void t.test('cat of one among 1,000 files: one download', async (t) => {
  const { list = 0, ...others } = await costOf(reading, 'cat thousand/file-777')
  t.strictSame(others, { download: 1 })
  t.ok(list <= 11, `${list} listings: ten pages of the directory, and one of what it is in`)
})

void t.test('a file that is proven unchanged is not asked for again', async (t) => {
  await reading.ok('cat proven')
  const cost = await costOf(reading, 'sleep 2.1; cat proven; cat proven; cat proven')
  t.strictSame(cost, { list: 1 }, 'one listing, because the last is older than the TTL')
})

void t.test('look-ups that fail are answered by the listing', async (t) => {
  await reading.ok('sleep 2.1')
  const { list = 0, ...others } = await costOf(
    reading,
    'for i in $(seq 1 50); do test ! -e missing-$i; test ! -e siblings/missing-$i; done',
  )
  t.strictSame(others, {})
  t.ok(list <= 4, `${list} listings`)
})

void t.test('grep -r: one listing a directory and one download a file', async (t) => {
  const patient: MountedEmulator = { ...(await mount(t, emulator, { args: minute })), emulator }
  t.strictSame(await costOf(patient, 'grep -r 49 siblings > /dev/null'), { list: 52, download: 50 })
})
