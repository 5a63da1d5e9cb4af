/**
 * What a program has open when the daemon dies: files, mappings, locks, what has no name any more. Each program says
 * where it is, is killed under, and goes on; on the local disk it must say the same.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { eventually } from '../mount/programs.ts'
import { needs } from '../programs/installed.ts'
import { Stage } from './playing.ts'
import { fileTimeout, mountOutliving, type Outliving, timeout } from './rig.ts'

t.setTimeout(fileTimeout)

const python = { timeout, ...needs('python3') }
const large = Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => (i * 7 + (i >> 8)) % 251))

void t.test('a shared mapping is loaded from, stored to and synchronized', python, async (t) => {
  const mounted = await mountOutliving(t)
  const { home } = await new Stage(mounted).alike(
    t,
    `write('file', b'a' * 300000)
fd = os.open('file', os.O_RDWR)
memory = mmap.mmap(fd, 300000)
memory[0:6] = b'before'
memory[100000:100007] = b'flushed'
memory.flush()
memory[200000:200005] = b'dirty'
stop('mapped')
print(memory[0:6], memory[100000:100007], memory[200000:200005], memory[299999])
memory[6:11] = b'after'
memory[250000:250004] = b'late'
memory.flush()
os.fsync(fd)
text = read('file')
print(text[:11], text[100000:100007], text[200000:200005], text[250000:250004], len(text))
memory.close()`,
  )
  const text = fs.readFileSync(join(home, 'file'), 'latin1')
  t.equal(text.slice(0, 11), 'beforeafter', 'the service has what was synchronized')
  t.equal(text.slice(200_000, 200_005) + text.slice(250_000, 250_004), 'dirtylate')
})

void t.test('pages of a mapping that were never touched come after the kill', python, async (t) => {
  const mounted = await mountOutliving(t)
  await new Stage(mounted).alike(
    t,
    `import hashlib
fd = os.open('large', os.O_RDONLY)
memory = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
os.close(fd)
print(memory[0:4])
stop('mapped')
print(hashlib.sha256(memory).hexdigest())`,
    { seeds: { large } },
  )
})

void t.test('a mapping outlives its descriptor and the daemon, and its stores arrive', python, async (t) => {
  const mounted = await mountOutliving(t)
  const { home } = await new Stage(mounted).alike(
    t,
    `write('file', b'a' * 10000)
fd = os.open('file', os.O_RDWR)
memory = mmap.mmap(fd, 10000)
os.close(fd)
memory[0:5] = b'first'
stop('mapped')
memory[5000:5004] = b'late'
memory.close()
print(read('file')[:5])`,
  )
  await mounted.sync()
  const text = fs.readFileSync(join(home, 'file'), 'latin1')
  t.equal(text.slice(0, 6) + text.slice(4999, 5005), 'firstaalatea')
})

void t.test('flock and POSIX locks are held on', python, async (t) => {
  const mounted = await mountOutliving(t)
  await new Stage(mounted).alike(
    t,
    `write('whole', b'x'); write('ranges', b'x' * 100)
whole, ranges = os.open('whole', os.O_RDWR), os.open('ranges', os.O_RDWR)
fcntl.flock(whole, fcntl.LOCK_EX)
fcntl.lockf(ranges, fcntl.LOCK_EX, 10, 20)
def flock(how): return in_child(lambda: fcntl.flock(os.open('whole', os.O_RDWR), how | fcntl.LOCK_NB))
def lock(start):
    return in_child(lambda: fcntl.lockf(os.open('ranges', os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB, 5, start))
print(flock(fcntl.LOCK_EX), flock(fcntl.LOCK_SH), lock(0), lock(22), lock(40))
stop('locked')
print(flock(fcntl.LOCK_EX), flock(fcntl.LOCK_SH), lock(0), lock(22), lock(40))
fcntl.flock(whole, fcntl.LOCK_SH)
fcntl.lockf(ranges, fcntl.LOCK_UN, 10, 20)
print(flock(fcntl.LOCK_EX), flock(fcntl.LOCK_SH), lock(22))
stop('shared')
print(flock(fcntl.LOCK_EX), flock(fcntl.LOCK_SH), lock(22))
os.close(whole)
print(flock(fcntl.LOCK_EX))`,
  )
})

void t.test('who waits for a lock gets it when its holder ends after the kill', python, async (t) => {
  const mounted = await mountOutliving(t)
  await new Stage(mounted).alike(
    t,
    `write('lock', b'x')
go, ready = os.pipe()
fd = os.open('lock', os.O_RDWR)
fcntl.flock(fd, fcntl.LOCK_EX)
pid = os.fork()
if pid == 0:
    other = os.open('lock', os.O_RDWR)
    os.write(ready, b'x')
    fcntl.flock(other, fcntl.LOCK_EX)
    write('granted', b'x')
    os._exit(0)
os.read(go, 1)
stop('waiting')
print(os.path.exists('granted'))
fcntl.flock(fd, fcntl.LOCK_UN)
print(os.waitpid(pid, 0)[1], os.path.exists('granted'))`,
  )
})

void t.test('an unlinked file that was written is read and written further', python, async (t) => {
  const mounted = await mountOutliving(t)
  const { home } = await new Stage(mounted).alike(
    t,
    `fd = os.open('file', os.O_RDWR | os.O_CREAT)
os.write(fd, b'first ' * 50000)
os.unlink('file')
os.pwrite(fd, b'SECOND', 6)
stop('unlinked')
print(os.fstat(fd).st_nlink, os.fstat(fd).st_size, os.pread(fd, 18, 0))
os.pwrite(fd, b'third', 100000)
os.ftruncate(fd, 200000)
print(os.pread(fd, 5, 100000), os.fstat(fd).st_size, os.path.exists('file'))
write('file', b'another')
stop('again')
print(os.pread(fd, 5, 100000), read('file'), os.fstat(fd).st_ino != os.stat('file').st_ino)
again = os.open(f'/proc/self/fd/{fd}', os.O_RDONLY)
print(os.pread(again, 6, 6))
os.close(fd); os.close(again)
print(os.listdir('.'))`,
  )
  await mounted.sync()
  t.strictSame(fs.readdirSync(home), ['file'], 'what has no name never travels')
})

void t.test('a file of the service that was unlinked half read is read to its end', python, async (t) => {
  const mounted = await mountOutliving(t)
  await new Stage(mounted).alike(
    t,
    `import hashlib
fd = os.open('large', os.O_RDONLY)
first = os.read(fd, 100000)
os.unlink('large')
os.unlink('directory/small'); os.rmdir('directory')
stop('unlinked')
rest = b''
while True:
    piece = os.read(fd, 65536)
    if not piece: break
    rest += piece
print(len(first), len(rest), hashlib.sha256(first + rest).hexdigest())
print(os.fstat(fd).st_nlink, os.listdir('.'))`,
    { seeds: { large, 'directory/small': 'small' } },
  )
})

void t.test('a file that was renamed over goes on for who has it open', python, async (t) => {
  const mounted = await mountOutliving(t)
  await new Stage(mounted).alike(
    t,
    `ours, theirs = os.open('ours', os.O_RDWR | os.O_CREAT), os.open('theirs', os.O_RDONLY)
os.write(ours, b'written here')
print(os.read(theirs, 3))
for name in ('ours', 'theirs'):
    write('new', b'new ' + name.encode())
    os.rename('new', name)
stop('replaced')
print(os.pread(ours, 100, 0), os.read(theirs, 100), read('ours'), read('theirs'))
os.pwrite(ours, b'WRITTEN', 0)
print(os.pread(ours, 100, 0), os.fstat(ours).st_nlink, os.fstat(theirs).st_nlink, sorted(os.listdir('.')))`,
    { seeds: { theirs: 'of the agent' } },
  )
})

void t.test('a file of O_TMPFILE keeps what was written to it', python, async (t) => {
  const mounted = await mountOutliving(t)
  const { home } = await new Stage(mounted).alike(
    t,
    `fd = os.open('.', os.O_TMPFILE | os.O_RDWR)
os.write(fd, b'unnamed ' * 1000)
stop('made')
print(os.pread(fd, 7, 8), os.fstat(fd).st_size, os.fstat(fd).st_nlink, os.listdir('.'))
os.write(fd, b'and more')
print(os.pread(fd, 100, 8000), os.fstat(fd).st_size)`,
  )
  await mounted.sync()
  t.strictSame(fs.readdirSync(home), [])
})

void t.test('inode numbers, sizes and times are what they were', python, async (t) => {
  const mounted = await mountOutliving(t)
  await new Stage(mounted).alike(
    t,
    `fds = {'theirs': os.open('theirs', os.O_RDONLY), 'directory': os.open('directory', os.O_RDONLY)}
for name in ('dirty', 'closed', 'directory/set'): write(name, name.encode())
fds['directory/set'] = os.open('directory/set', os.O_RDONLY)
os.utime('directory/set', ns=(1234567890123456789, 1234567890123456789))
os.chmod('directory/set', 0o750)
fds['dirty'] = os.open('dirty', os.O_RDWR)
os.write(fds['dirty'], b'DIRTY')
fds['closed'] = os.open('closed', os.O_RDONLY)
fds['gone'] = os.open('gone', os.O_RDWR | os.O_CREAT)
os.unlink('gone')
before = {name: attributes(fd) for name, fd in fds.items()}
stop('looked')
for name, fd in fds.items():
    after = attributes(fd)
    print(name, after == before[name] or (before[name], after))
    if name != 'gone': print(os.stat(name).st_ino == before[name][0])
print(oct(os.stat('directory/set').st_mode), os.stat('directory/set').st_mtime_ns)`,
    { seeds: { theirs: 'of the agent', 'directory/file': 'x' } },
  )
})

void t.test('an open file goes along with its new name', python, async (t) => {
  const mounted = await mountOutliving(t)
  const { home } = await new Stage(mounted).alike(
    t,
    `ours, theirs = os.open('ours', os.O_RDWR | os.O_CREAT), os.open('theirs', os.O_RDWR)
os.write(ours, b'content')
os.mkdir('directory')
os.rename('ours', 'directory/ours'); os.rename('theirs', 'directory/theirs')
stop('renamed')
os.pwrite(ours, b'C', 0); os.pwrite(theirs, b'O', 0)
os.rename('directory', 'moved')
stop('moved')
os.pwrite(ours, b'T', 6); os.pwrite(theirs, b'T', 11)
for name, fd in (('ours', ours), ('theirs', theirs)):
    print(read('moved/' + name), os.fstat(fd).st_ino == os.stat('moved/' + name).st_ino)
print(os.listdir('.'), sorted(os.listdir('moved')))`,
    { seeds: { theirs: 'of the agent' } },
  )
  await mounted.sync()
  t.strictSame(fs.readdirSync(home, { recursive: true }).sort(), ['moved', 'moved/ours', 'moved/theirs'])
  t.equal(fs.readFileSync(join(home, 'moved/theirs'), 'utf8'), 'Of the agenT')
})

void t.test('who reads the content of the service goes on where it was', python, async (t) => {
  const mounted = await mountOutliving(t)
  await new Stage(mounted).alike(
    t,
    `import hashlib
fds = [os.open(name, os.O_RDONLY) for name in ('large', 'other')]
digests = [hashlib.sha256(os.read(fd, 123457)) for fd in fds]
later = os.open('not-read', os.O_RDONLY)
stop('reading')
for fd, digest in zip(fds, digests):
    while piece := os.read(fd, 50000): digest.update(piece)
    print(digest.hexdigest(), os.lseek(fd, 0, os.SEEK_CUR))
print(os.read(later, 100), os.lseek(fds[0], 0, os.SEEK_SET), os.read(fds[0], 5))`,
    { seeds: { large, other: large.subarray(1_000_000), 'not-read': 'opened, and read later' } },
  )
})

void t.test('a read that waits for its download when the kill comes is answered', python, async (t) => {
  const mounted = await mountOutliving(t)
  const scene = await new Stage(mounted).start(
    `print('at reading', flush=True)
print(len(read('large')), read('large') == read('large'))`,
    { large },
  )
  const hold = mounted.emulator.hold({ verb: 'download' })
  await Promise.all([scene.at('reading'), hold.reached])
  await mounted.kill()
  t.notMatch(scene.stdout(), '3000000', 'it waits on')
  hold.release()
  t.match(await scene.ended, { code: 0, stdout: '3000000 True', stderr: '' })
})

void t.test('what was written and not uploaded is written further', python, async (t) => {
  const mounted = await mountOutliving(t)
  const { emulator } = mounted
  const hold = emulator.hold({ verb: 'upload' })
  const { home } = await new Stage(mounted).alike(
    t,
    `fd = os.open('new', os.O_WRONLY | os.O_CREAT)
end = os.open('there', os.O_WRONLY | os.O_APPEND)
closed = os.open('closed', os.O_WRONLY | os.O_CREAT)
os.write(closed, b'closed before'); os.close(closed)
os.write(fd, b'first, '); os.write(end, b', first')
stop('written')
os.write(fd, b'second'); os.write(end, b', second')
print(read('new'), read('there'), read('closed'), os.lseek(fd, 0, os.SEEK_CUR))
os.close(fd)
stop('closed one')
os.write(end, b', third')
print(read('new'), read('there'))`,
    { seeds: { there: 'there' } },
  )
  hold.release()
  await mounted.sync()
  t.equal(fs.readFileSync(join(home, 'new'), 'utf8'), 'first, second')
  t.equal(fs.readFileSync(join(home, 'there'), 'utf8'), 'there, first, second, third')
  t.equal(fs.readFileSync(join(home, 'closed'), 'utf8'), 'closed before')
  t.strictSame(
    fs.readdirSync(home).sort(),
    ['closed', 'new', 'there'],
    'no version of somebody else was seen',
  )
})

/** Somebody has begun to read what the agent then replaces; `meanwhile`: before they read on. */
async function replaced(t: Test, meanwhile: (mounted: Outliving) => Promise<void>): Promise<void> {
  const mounted = await mountOutliving(t)
  const scene = await new Stage(mounted).start(
    `fd = os.open('large', os.O_RDONLY)
print(os.read(fd, 4), len(os.pread(fd, 100, 2999900)))
stop('opened')
try:
    rest = os.read(fd, 65536)
    print('old' if rest == bytes((i * 7 + (i >> 8)) % 251 for i in range(4, 4 + len(rest))) else 'mixed')
except OSError as error:
    print(os.strerror(error.errno))`,
    { large },
  )
  await scene.at('opened')
  const victim = await mounted.strike()
  fs.writeFileSync(join(scene.home, 'large-new'), Buffer.alloc(large.length - 1, 'n'))
  fs.renameSync(join(scene.home, 'large-new'), join(scene.home, 'large'))
  await mounted.served(victim)
  const isSeen = async (): Promise<boolean> =>
    (await mounted.ok(`head -c 4 ${scene.name}/large`)).startsWith('nnnn')
  t.ok(await eventually(isSeen), 'others see the new content')
  /* the kernel has dropped the pages by now: what it reads for others is not to take their place */
  t.ok(await isSeen())
  await meanwhile(mounted)
  t.ok(await isSeen())
  scene.goOn('opened')
  /* of what it was, only what the kernel has is left */
  t.match(await scene.ended, { code: 0, stdout: /old|Stale file handle/, stderr: '' })
}

void t.test('an open file that the agent replaces while nobody serves is not mixed up', python, (t) =>
  replaced(t, () => Promise.resolve()),
)

void t.test('nor is it when the next daemon is killed as well', python, (t) =>
  replaced(t, (mounted) => mounted.kill()),
)

void t.test('a file that was fetched twice as it could not be proven is read on', python, async (t) => {
  const mounted = await mountOutliving(t, { args: ['--ttl', '0.1'] })
  fs.mkdirSync(join(mounted.root, 'local'))
  for (const above of [mounted.emulator.home, join(mounted.root, 'local')]) {
    fs.writeFileSync(join(above, 'fresh'), large)
    /* what was changed this very moment proves nothing, and for a minute nothing else will either */
    fs.utimesSync(join(above, 'fresh'), Date.now() / 1000, Date.now() / 1000 + 60)
  }
  await new Stage(mounted).alike(
    t,
    `fd = os.open('../fresh', os.O_RDONLY)
first = os.read(fd, 1000)
time.sleep(0.3)
print(hash(read('../fresh')))
stop('fetched')
print(hash(first + os.read(fd, 4000000)))`,
  )
})
