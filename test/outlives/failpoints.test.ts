/**
 * The daemon is killed at each named point of the write-back while a program changes what it can: the program sees no
 * error, ends as on a local disk, and the service has the same in the end.
 *
 * `OUTLIVES_FAILPOINTS=5` kills at the first five times of each point, and not at the first and a few later ones only.
 */
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { failpointNames, type FailpointName } from '../../src/write-back/disk/failpoints.ts'
import { isSealed } from '../crash/journals.ts'
import { eventually } from '../mount/programs.ts'
import { treeOf } from '../mount/rig.ts'
import { needs } from '../programs/installed.ts'
import { Stage } from './playing.ts'
import { fileTimeout, kills, mountOutliving, type Outliving, timeout } from './rig.ts'

t.setTimeout(fileTimeout)
/* each waits for the other side most of the time */
t.jobs = 2

const scale = Number(process.env['OUTLIVES_FAILPOINTS'] ?? 1)

const seeds = {
  theirs: Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * i) % 249)),
  'old.txt': 'renamed by and by',
  'tree/one': '1',
  'tree/below/two': '22',
  'config.txt': 'old config, which is longer',
  'gone.txt': 'to be removed',
  'page.txt': '.'.repeat(5000),
  'again.txt': 'before',
  'short.txt': 'shortened to its beginning',
}

/* every kind of change at least once, some of them late as well, and of what is open */
const work = `log = os.open('log.txt', os.O_RDWR | os.O_CREAT | os.O_APPEND)
for i in range(3): os.write(log, b'line %d\\n' % i)
os.mkdir('new')
new = os.open('new/a.txt', os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640)
os.write(new, b'content of a')
os.mknod('new/node')
os.rename('old.txt', 'renamed.txt')
theirs = os.open('theirs', os.O_RDWR)
print(hash(os.read(theirs, 1000)))
os.unlink('theirs')
os.rename('tree', 'moved')
print(sorted(os.listdir('moved')), read('moved/below/two'))
config = os.open('config.txt', os.O_RDONLY)
write('config.tmp', b'new config')
os.rename('config.tmp', 'config.txt')
print(os.pread(config, 100, 0), read('config.txt'))
os.unlink('gone.txt')
print(error(os.stat, 'gone.txt'), hash(os.read(theirs, 400000)))
page = os.open('page.txt', os.O_RDWR)
memory = mmap.mmap(page, 5000)
os.pwrite(page, b'WRITTEN', 5)
memory[4500:4505] = b'DIRTY'
memory.flush()
os.unlink('again.txt')
write('again.txt', b'again')
os.truncate('short.txt', 4)
os.chmod('short.txt', 0o600)
os.utime('renamed.txt', (1_000_000_000, 1_000_000_000))
os.fsync(log)
os.mkdir('empty')
os.rmdir('empty')
os.rename('new', 'newer')
os.pwrite(new, b'CONTENT', 0)
write('newer/b.txt', b'b' * 100_000)
os.rename('newer/b.txt', 'newer/a.txt')
print(os.pread(new, 100, 0), hash(read('newer/a.txt')))
os.unlink('newer/a.txt')
os.pwrite(new, b'further', 12)
print(os.pread(new, 100, 0), os.fstat(new).st_nlink)
for i in range(3): os.write(log, b'line %d\\n' % i)
os.close(log)
os.fsync(page)
os.rename('moved', 'tree')
log = os.open('log.txt', os.O_WRONLY | os.O_APPEND)
os.write(log, b'the end\\n')
for above, directories, files in os.walk('.'):
    directories.sort()
    for name in sorted(files):
        path = above + '/' + name
        status = os.stat(path)
        print(path, oct(status.st_mode), hash(read(path)))
print(int(os.stat('renamed.txt').st_mtime))
`

/* a newer program that finds an older journal, at the first mount; after a power cut; in a quiet moment: below */
const elsewhere = /^journal\.(upgrade|setAside|unseal)/
/* what happens as a daemon starts: to those that go on */
const atStart = /^(recovery|journal\.meta)/
/* only what is not on the service after a second */
const slow = /^journal\.seal/
const forDirectories = /^remote\.makeDirectory/
/* those that come again and again, in the middle of things */
const often = /^(journal\.(change|commit|carried)|naming|spool\.write|remote\.upload)\b/

const wanted = failpointNames.filter((name) => !elsewhere.test(name))
const plain = wanted.filter((name) => ![atStart, slow, forDirectories].some((kind) => kind.test(name)))
const times = (name: FailpointName): readonly number[] => {
  if (scale > 1) return Array.from({ length: scale }, (_, at) => at + 1)
  return often.test(name) ? [1, 4, 13] : [1]
}
const failpoints = plain.flatMap((name) => times(name).map((time) => `${name}:${time}`))
const half = Math.ceil(failpoints.length / 2)
/* the first daemon is not to be killed before it is mounted */
const first = 'spool.write.after:2'
const starts = wanted.filter((name) => atStart.test(name))

/** Works until the daemons have been killed at all of these, one after the other. */
async function outliveAll(
  t: Test,
  mounted: Outliving,
  points: readonly string[],
  { more = '', beginRound }: { more?: string; beginRound?: () => { release(): unknown } } = {},
): Promise<void> {
  const stage = new Stage(mounted)
  const deaths = (): number => (kills === 0 ? points.length : mounted.killedAt().length)
  for (let before = -1; before < points.length;) {
    before = deaths()
    const held = beginRound?.()
    const played = stage.alike(t, more + work, { seeds })
    if (before < points.length) await Promise.race([played, eventually(() => deaths() > before)])
    held?.release()
    await played
    /* what goes on in the background comes a while after the program's end */
    if (before < points.length) await eventually(() => deaths() > before)
    if (deaths() === before && before < points.length) {
      t.fail(`not killed at ${points[before]}`)
      return
    }
    if (before >= points.length) break
  }
  const names = points.map((point) => point.replace(/:.*/, ''))
  if (kills > 0) t.strictSame(mounted.killedAt(), names)
  await mounted.sync()
  t.strictSame(treeOf(mounted.emulator.home), treeOf(join(mounted.root, 'local')), 'the service has the same')
  t.strictSame(mounted.logged('error'), [], 'the daemons met no fault of their own')
}

const armed = (points: readonly string[]): { MOUNT_SESSION_FAILPOINT?: string } =>
  kills === 0 ? {} : { MOUNT_SESSION_FAILPOINT: points.join(',') }

for (const [what, points] of Object.entries({
  'the first half of the points': [first, ...failpoints.slice(0, half)],
  'the second half of the points': [first, ...failpoints.slice(half)],
  'the start of those that go on': [first, ...starts],
}))
  void t.test(`killed at ${what}`, { timeout: 2 * timeout * scale, ...needs('python3') }, async (t) => {
    const mounted = await mountOutliving(t, { env: armed(points), emulator: { latencyMs: 5 } })
    await outliveAll(t, mounted, points)
  })

void t.test('killed as it makes directories on the service', { timeout, ...needs('python3') }, async (t) => {
  const points = wanted.filter((name) => forDirectories.test(name))
  const mounted = await mountOutliving(t, { env: armed(points), emulator: { latencyMs: 5, extras: true } })
  await outliveAll(t, mounted, points, { more: "os.mkdir('stays')\n" })
})

void t.test('killed as it writes down what waits', { timeout, ...needs('python3') }, async (t) => {
  const points = wanted.filter((name) => slow.test(name))
  const mounted = await mountOutliving(t, { env: armed(points), emulator: { latencyMs: 5 } })
  await outliveAll(t, mounted, points, { beginRound: () => mounted.emulator.hold({ verb: 'upload' }) })
})

for (const point of ['journal.unseal.before', 'journal.unseal.after'])
  void t.test(
    `killed at ${point}, as a closed file is written to again`,
    { timeout, ...needs('python3') },
    async (t) => {
      const mounted = await mountOutliving(t, { env: armed([point]), emulator: { latencyMs: 5 } })
      const accept = mounted.emulator.fault({ verb: 'upload', kind: 'status', status: 401 })
      const isPaused = async (): Promise<boolean> => (await mounted.status()).service.state === 'paused'
      const hasSeal = (): boolean => isSealed(mounted.root, 'scene-1/file')
      await new Stage(mounted).alike(
        t,
        `write('first', b'')
stop('paused')
write('file', b'closed')
stop('sealed')
with open('file', 'ab') as file: file.write(b', and more')
print(read('file'))`,
        { actions: { paused: () => eventually(isPaused), sealed: () => eventually(hasSeal) } },
      )
      accept()
      if (kills > 0) t.equal(mounted.killedAt().length, 1)
      await mounted.command(['status', '--retry', mounted.directory])
      await mounted.sync()
      t.strictSame(treeOf(mounted.emulator.home), treeOf(join(mounted.root, 'local')))
    },
  )
