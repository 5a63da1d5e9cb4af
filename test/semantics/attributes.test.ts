/** What stat shows, and what can be set. */
import t from 'tap'
import { startBehaviours } from './rig.ts'

const isRoot = process.getuid?.() === 0
const { alike, shown } = await startBehaviours(t, isRoot ? { args: ['-o', 'allow_other'] } : {})

await t.test('times are kept to the nanosecond, as given', async (t) => {
  await alike(
    t,
    `write('file', 'x'); os.mkdir('d')
for name in ('file', 'd'):
    os.utime(name, ns=(1234567890123456789, 987654321987654321))
    found = os.stat(name); show(found.st_atime_ns, found.st_mtime_ns)
os.utime('file', ns=(-5 * 10**9 + 3, -1)); show(os.stat('file').st_atime_ns, os.stat('file').st_mtime_ns)
os.utime('file', ns=(0, 2**33 * 10**9)); show(os.stat('file').st_mtime_ns)
fd = os.open('file', os.O_RDONLY); os.utime(fd, ns=(1, 2)); show(os.fstat(fd).st_mtime_ns)
time.sleep(0.5); show(os.stat('file').st_mtime_ns)`,
  )
})

await t.test('UTIME_NOW and UTIME_OMIT', async (t) => {
  await alike(
    t,
    `UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
class Time(ctypes.Structure): _fields_ = [('seconds', ctypes.c_long), ('nanoseconds', ctypes.c_long)]
def utimensat(path, accessed, modified):
    checked(libc.utimensat(-100, path.encode(), (Time * 2)(Time(*accessed), Time(*modified)), 0))
write('file', ''); os.utime('file', ns=(5, 7))
utimensat('file', (0, UTIME_OMIT), (11, 13)); show(os.stat('file').st_atime_ns, os.stat('file').st_mtime_ns)
utimensat('file', (17, 19), (0, UTIME_OMIT)); show(os.stat('file').st_atime_ns, os.stat('file').st_mtime_ns)
utimensat('file', (0, UTIME_OMIT), (0, UTIME_NOW))
show(os.stat('file').st_atime_ns, abs(os.stat('file').st_mtime - time.time()) < 60)
os.utime('file'); show(abs(os.stat('file').st_atime - time.time()) < 60)`,
  )
})

await t.test('mtime moves with a write, ctime with every change, and neither by itself', async (t) => {
  await alike(
    t,
    `write('file', 'x'); os.utime('file', ns=(5, 7))
first = os.stat('file'); time.sleep(0.05); show(os.stat('file').st_ctime_ns == first.st_ctime_ns)
os.chmod('file', 0o600); second = os.stat('file'); show(second.st_ctime_ns > first.st_ctime_ns, second.st_mtime_ns)
time.sleep(0.05)
with open('file', 'ab') as file: file.write(b'more')
third = os.stat('file'); show(third.st_mtime_ns > 7, third.st_ctime_ns > second.st_ctime_ns)
time.sleep(1.5); fourth = os.stat('file'); show(fourth.st_mtime_ns == third.st_mtime_ns, fourth.st_ctime_ns == third.st_ctime_ns)
time.sleep(0.05); os.rename('file', 'renamed'); show(os.stat('renamed').st_mtime_ns == third.st_mtime_ns)
os.truncate('renamed', 2); show(os.stat('renamed').st_mtime_ns > third.st_mtime_ns)`,
  )
})

await t.test('the mtime of a directory moves with its names', async (t) => {
  await alike(
    t,
    `os.mkdir('d'); os.utime('d', ns=(5, 7)); show(os.stat('d').st_mtime_ns)
write('d/x', ''); made = os.stat('d').st_mtime_ns; show(made > 7)
time.sleep(0.05); write('d/x', 'content'); show(os.stat('d').st_mtime_ns == made)
time.sleep(0.05); os.rename('d/x', 'd/y'); renamed = os.stat('d').st_mtime_ns; show(renamed > made)
time.sleep(0.05); os.unlink('d/y'); show(os.stat('d').st_mtime_ns > renamed)`,
  )
})

await t.test('modes are kept, the umask is obeyed', async (t) => {
  await alike(
    t,
    `os.umask(0o027)
os.close(os.open('file', os.O_CREAT | os.O_WRONLY, 0o777)); os.mkdir('d', 0o777)
show(oct(os.stat('file').st_mode), oct(os.stat('d').st_mode))
for mode in (0o751, 0o600, 0o4755, 0o000): os.chmod('file', mode); show(oct(os.stat('file').st_mode))
fd = os.open('d', os.O_RDONLY); os.fchmod(fd, 0o1777); show(oct(os.stat('d').st_mode))`,
  )
})

await t.test(
  'what is made in a directory with the setgid bit has its group',
  { skip: !isRoot && 'needs root' },
  async (t) => {
    await alike(
      t,
      `os.mkdir('d'); os.chown('d', -1, 54321); os.chmod('d', 0o2775)
write('d/file', ''); os.mkdir('d/sub'); os.mkdir('d/sub/deeper'); write('d/sub/deeper/file', ''); os.mknod('d/made', 0o644 | stat.S_IFREG)
for path in ('d/file', 'd/sub', 'd/sub/deeper', 'd/sub/deeper/file', 'd/made'):
    found = os.stat(path); show(path, oct(found.st_mode), found.st_gid)`,
    )
  },
)

await t.test('reading does not move the time of access', async (t) => {
  const found = await shown(`write('file', 'x'); os.utime('file', ns=(5, 7)); read('file')
show(os.stat('file').st_atime_ns, os.stat('file').st_mtime_ns)`)
  t.strictSame(found, [[5, 7]])
})

await t.test('statfs, and the number of links', async (t) => {
  const found = await shown(`found = os.statvfs('.')
show(found.f_namemax, found.f_bsize > 0, found.f_bavail * found.f_frsize > 10**9, found.f_favail > 10**6)
write('file', ''); os.mkdir('d'); os.mkdir('d/e')
show(os.stat('file').st_nlink, os.stat('d').st_nlink, os.stat('.').st_nlink)`)
  t.strictSame(found, [
    [255, true, true, true],
    [1, 1, 1],
  ])
})

await t.test('statx shows what stat shows, and no time of birth', async (t) => {
  const found =
    await shown(`write('file', 'xyz'); os.chmod('file', 0o640); os.utime('file', ns=(5, 10**9 + 7))
buffer = ctypes.create_string_buffer(256)
checked(libc.statx(-100, b'file', 0, 0xfff, buffer))
mask, block, attributes, links, uid, gid, mode = struct.unpack_from('<IIQIIIH', buffer)
inode, size, blocks = struct.unpack_from('<QQQ', buffer, 32)
show(links, oct(mode), size, inode == os.stat('file').st_ino, bool(mask & 0x800))
show(struct.unpack_from('<qI', buffer, 112)[:2])`)
  t.strictSame(found, [
    [1, '0o100640', 3, true, false],
    [1, 7],
  ])
})

await t.test('getattr on an open file shows what was written through it at once', async (t) => {
  await alike(
    t,
    `fd = os.open('file', os.O_RDWR | os.O_CREAT)
for size in (1, 10, 5000): os.pwrite(fd, b'x' * size, 0); show(os.fstat(fd).st_size, os.stat('file').st_size)
show(in_child(lambda: os.stat('file').st_size))`,
  )
})

await t.test(
  'permissions are checked by mode and owner, for other users too',
  { skip: !isRoot && 'needs root' },
  async (t) => {
    await alike(
      t,
      `os.chmod('.', 0o777)
def as_other(work):
    def child():
        os.setgroups([]); os.setgid(12345); os.setuid(12345); return work()
    return in_child(child)
write('secret', 'x'); os.chmod('secret', 0o600); write('public', 'y'); os.chmod('public', 0o644)
os.mkdir('closed', 0o700); write('closed/x', ''); os.mkdir('readable', 0o755)
show(as_other(lambda: read('secret')), as_other(lambda: read('public')), as_other(lambda: write('public', 'z')))
show(as_other(lambda: os.listdir('closed')), as_other(lambda: os.stat('closed/x').st_size))
show(as_other(lambda: os.mkdir('readable/d')), as_other(lambda: os.unlink('public')), os.path.exists('public'))
show(as_other(lambda: os.access('secret', os.R_OK)), as_other(lambda: os.access('public', os.R_OK)))
show(as_other(lambda: os.chmod('secret', 0o777)), as_other(lambda: os.utime('secret')), as_other(lambda: os.chown('secret', 12345, -1)))
as_other(lambda: write('theirs', 'x')); found = os.stat('theirs'); show(found.st_uid, found.st_gid)
os.chown('theirs', 5, 6); found = os.stat('theirs'); show(found.st_uid, found.st_gid)
os.chmod('.', 0o1777); show(as_other(lambda: os.unlink('secret')))`,
    )
  },
)
