/** Opening, and what an open file is after its name has changed. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startBehaviours } from './rig.ts'

const { alike, shown, sync, emulator, last } = await startBehaviours(t)

await t.test('O_APPEND writes at the end, whoever else appends', async (t) => {
  await alike(
    t,
    `fds = [os.open('log', os.O_WRONLY | os.O_CREAT | os.O_APPEND) for _ in range(4)]
def append(fd, letter):
    for _ in range(100): os.write(fd, letter.encode() * 7)
threads = [threading.Thread(target=append, args=(fd, 'abcd'[i])) for i, fd in enumerate(fds)]
for each in threads: each.start()
for each in threads: each.join()
text = read('log')
show(len(text), all(len(set(text[i:i + 7])) == 1 for i in range(0, len(text), 7)), sorted(set(text)))
def from_child():
    fd = os.open('log', os.O_WRONLY | os.O_APPEND)
    os.write(fd, b'child')
    return os.lseek(fd, 0, os.SEEK_CUR)
show(in_child(from_child), os.write(fds[0], b'parent'), read('log')[-11:])
show(os.pwrite(fds[0], b'!', 0), read('log')[-1], os.stat('log').st_size)`,
  )
})

await t.test('appenders in many processes lose nothing', async (t) => {
  await alike(
    t,
    `write('log', '')
pids = []
for letter in 'abcdef':
    pid = os.fork()
    if pid == 0:
        fd = os.open('log', os.O_WRONLY | os.O_APPEND)
        for _ in range(50): os.write(fd, (letter * 20 + chr(10)).encode())
        os._exit(0)
    pids.append(pid)
for pid in pids: os.waitpid(pid, 0)
lines = read('log').split(chr(10))
show(len(lines), all(len(line) == 20 and len(set(line)) == 1 for line in lines[:-1]))`,
  )
})

await t.test('a write with O_SYNC, O_DSYNC or RWF_SYNC returns when the service has it', async (t) => {
  await shown(`for flag in ('O_SYNC', 'O_DSYNC'):
    os.write(os.open(flag, os.O_CREAT | os.O_WRONLY | getattr(os, flag)), flag.encode())
os.pwritev(os.open('RWF_SYNC', os.O_CREAT | os.O_WRONLY), [b'RWF_SYNC'], 0, os.RWF_SYNC)`)
  for (const flag of ['O_SYNC', 'O_DSYNC', 'RWF_SYNC'])
    t.equal(readFileSync(join(emulator.home, last(), flag), 'utf8'), flag)
})

await t.test('O_EXCL refuses what is there, and one of many wins', async (t) => {
  await alike(
    t,
    `write('there', 'x')
os.mkdir('directory')
flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
show(fails(os.open, 'there', flags), fails(os.open, 'directory', flags))
won = []
def attempt():
    if isinstance(fails(os.open, 'lock', flags), int): won.append(1)
threads = [threading.Thread(target=attempt) for _ in range(8)]
for each in threads: each.start()
for each in threads: each.join()
show(len(won))`,
  )
})

await t.test('O_TRUNC empties, also for those who have it open', async (t) => {
  await alike(
    t,
    `write('file', 'content')
fd = os.open('file', os.O_RDWR)
other = os.open('file', os.O_WRONLY | os.O_TRUNC)
show(os.fstat(fd).st_size, len(os.pread(fd, 10, 0)))
os.write(other, b'new')
show(os.pread(fd, 10, 0).decode(), fails(os.open, 'missing', os.O_WRONLY | os.O_TRUNC))`,
  )
})

await t.test('O_DIRECTORY and O_NOFOLLOW', async (t) => {
  await alike(
    t,
    `write('file', 'x')
os.mkdir('directory')
show(fails(os.open, 'file', os.O_RDONLY | os.O_DIRECTORY))
show(isinstance(fails(os.open, 'directory', os.O_RDONLY | os.O_DIRECTORY), int))
show(isinstance(fails(os.open, 'file', os.O_RDONLY | os.O_NOFOLLOW), int))
show(fails(os.open, 'directory', os.O_WRONLY), fails(os.open, 'directory', os.O_RDWR | os.O_CREAT))
show(fails(os.read, os.open('directory', os.O_RDONLY), 1))`,
  )
})

await t.test('a descriptor does only what it was opened for', async (t) => {
  await alike(
    t,
    `write('file', 'x')
reader, writer = os.open('file', os.O_RDONLY), os.open('file', os.O_WRONLY)
show(fails(os.write, reader, b'x'), fails(os.read, writer, 1), fails(os.ftruncate, reader, 0))
show(fails(fallocate, reader, 0, 0, 10), fails(os.copy_file_range, writer, reader, 1))`,
  )
})

await t.test('an unlinked file goes on for those who have it open, and never travels', async (t) => {
  await alike(
    t,
    `write('file', 'first')
fd = os.open('file', os.O_RDWR)
os.unlink('file')
show(os.fstat(fd).st_nlink, os.fstat(fd).st_size, os.path.exists('file'))
os.pwrite(fd, b'second and more', 0)
os.ftruncate(fd, 6)
os.fchmod(fd, 0o600)
os.utime(fd, ns=(5, 7))
os.fsync(fd)
show(os.pread(fd, 100, 0).decode(), oct(os.fstat(fd).st_mode), os.fstat(fd).st_mtime_ns)
write('file', 'another')
show(os.pread(fd, 100, 0).decode(), read('file'), os.fstat(fd).st_ino != os.stat('file').st_ino)
again = os.open(f'/proc/self/fd/{fd}', os.O_RDONLY)
show(os.pread(again, 100, 0).decode())
os.unlink('file')
os.close(fd)
show(os.listdir('.'))`,
  )
  await sync()
  t.strictSame(await shown('show(os.listdir("."))'), [[]])
  t.strictSame(Object.keys(emulator.counts()).length > 0, true)
})

await t.test('an open file goes on under its new name', async (t) => {
  await alike(
    t,
    `write('old', 'content')
os.mkdir('directory')
fd = os.open('old', os.O_RDWR)
inode = os.fstat(fd).st_ino
os.rename('old', 'directory/new')
os.pwrite(fd, b'C', 0)
show(read('directory/new'), os.stat('directory/new').st_ino == inode, os.path.exists('old'))
os.rename('directory', 'moved')
os.pwrite(fd, b'D', 0)
show(read('moved/new'), os.fstat(fd).st_nlink, os.stat('moved/new').st_ino == inode)`,
  )
})

await t.test('a file that is renamed over goes on for those who have it open', async (t) => {
  await alike(
    t,
    `write('target', 'old')
write('source', 'new')
fd = os.open('target', os.O_RDWR)
os.rename('source', 'target')
show(os.pread(fd, 10, 0).decode(), read('target'), os.fstat(fd).st_nlink)
os.pwrite(fd, b'OLD', 0)
show(os.pread(fd, 10, 0).decode(), read('target'))`,
  )
})

await t.test('a file that loses its name after it was looked up is still opened', async (t) => {
  /* a descriptor with O_PATH is a look-up that lasts: opened through /proc, the kernel asks for that inode again */
  await alike(
    t,
    `paths, inodes = {}, {}
for name in ('unlinked', 'replaced', 'read', 'written', 'emptied', 'cut'):
    write(name, 'old')
    paths[name] = os.open(name, os.O_PATH)
    inodes[name] = os.stat(name).st_ino
    if name == 'unlinked': os.unlink(name)
    else:
        for again in range(2):
            write('new', 'new ' + name)
            os.rename('new', name)
def opened(name, flags): return os.open(f'/proc/self/fd/{paths[name]}', flags)
for name in ('unlinked', 'replaced', 'read'):
    for again in range(2):
        fd = opened(name, os.O_RDONLY)
        show(os.pread(fd, 10, 0).decode(), os.fstat(fd).st_nlink, os.fstat(fd).st_ino == inodes[name])
        os.close(fd)
fd = opened('written', os.O_RDWR)
os.pwrite(fd, b'OLD and more', 0)
os.close(fd)
show(os.pread(opened('written', os.O_RDONLY), 100, 0).decode(), read('written'))
os.close(opened('emptied', os.O_WRONLY | os.O_TRUNC))
show(os.fstat(opened('emptied', os.O_RDONLY)).st_size, read('emptied'))
os.truncate(f"/proc/self/fd/{paths['cut']}", 2)
show(os.pread(opened('cut', os.O_RDONLY), 10, 0).decode(), read('cut'))`,
  )
})

await t.test('a file that is on the service is opened as well after it lost its name', async (t) => {
  const [here] = await shown(`write('file', 'ours')
path = os.open('file', os.O_PATH)
os.fsync(os.open('.', os.O_RDONLY))
os.unlink('file')
os.fsync(os.open('.', os.O_RDONLY))
show(os.pread(os.open(f'/proc/self/fd/{path}', os.O_RDONLY), 10, 0).decode())`)
  t.equal(here, 'ours')
})

await t.test('O_TMPFILE makes a file without a name', async (t) => {
  const code = `fd = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o600)
os.write(fd, b'unnamed')
show(os.pread(fd, 10, 0).decode(), os.fstat(fd).st_nlink, oct(os.fstat(fd).st_mode), os.listdir('.'))`
  const found = await shown(
    code
      .replace('os.open', 'fails(os.open')
      .replace('0o600)', '0o600))\nshow(fd)\nif isinstance(fd, str): raise SystemExit'),
  ).catch((error: unknown) => String(error))
  if (String(found).includes('SystemExit'))
    return t.pass('the kernel has no FUSE_TMPFILE: EOPNOTSUPP, and programs go by names')
  await alike(t, code)
})

await t.test('a directory that was removed is empty for those who are in it', async (t) => {
  await alike(
    t,
    `os.mkdir('gone')
fd = os.open('gone', os.O_RDONLY)
os.rmdir('gone')
show(os.fstat(fd).st_nlink, fails(os.listdir, fd), fails(os.open, 'new', os.O_CREAT | os.O_WRONLY, dir_fd=fd))
show(fails(os.mkdir, 'new', dir_fd=fd))`,
  )
})

await t.test('what is written is read back at any offset and size', async (t) => {
  await alike(
    t,
    `import hashlib, random
random.seed(7)
fd = os.open('file', os.O_RDWR | os.O_CREAT)
expected = bytearray()
for _ in range(200):
    at, size = random.randrange(300000), random.randrange(20000)
    data = random.randbytes(size)
    if len(expected) < at + size: expected.extend(bytes(at + size - len(expected)))
    expected[at:at + size] = data
    os.pwrite(fd, data, at)
show(os.pread(fd, 1 << 20, 0) == bytes(expected), read('file') == expected.decode('latin-1'))
os.fsync(fd)
show(hashlib.md5(os.pread(fd, 1 << 20, 0)).hexdigest())`,
  )
  t.equal(last().startsWith('snippet-'), true)
})
