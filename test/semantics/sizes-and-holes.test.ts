/** Sizes: truncating, holes, allocating, copying ranges, and the limit of the service. */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startBehaviours } from './rig.ts'

const limit = 1_000_000
const { alike, shown, sync, emulator, last } = await startBehaviours(t, {
  emulator: { latencyMs: 2, maxFileBytes: limit },
  args: [`--max-file-size=${limit}`],
})

await t.test('truncate shortens and lengthens with zeros', async (t) => {
  await alike(
    t,
    `write('file', 'content')
os.truncate('file', 3); show(read('file'))
os.truncate('file', 6); show(read('file'))
fd = os.open('file', os.O_RDWR)
os.ftruncate(fd, 1); show(os.fstat(fd).st_size)
os.ftruncate(fd, 100000); show(os.pread(fd, 5, 99990), os.stat('file').st_size)
show(fails(os.truncate, 'missing', 1), fails(os.truncate, '.', 1), fails(os.ftruncate, fd, -1))`,
  )
})

await t.test('a store past the end leaves a hole of zeros', async (t) => {
  await alike(
    t,
    `fd = os.open('file', os.O_RDWR | os.O_CREAT)
os.pwrite(fd, b'end', 500000)
show(os.fstat(fd).st_size, os.pread(fd, 3, 0), os.pread(fd, 4, 499999))`,
  )
  await sync()
  t.equal(fs.statSync(join(emulator.home, last(), 'file')).size, 500_003)
})

await t.test('fallocate: plain, KEEP_SIZE and PUNCH_HOLE', async (t) => {
  await alike(
    t,
    `write('file', 'x' * 10000)
fd = os.open('file', os.O_RDWR)
fallocate(fd, 0, 5000, 10000); show(os.fstat(fd).st_size, os.pread(fd, 2, 9999))
fallocate(fd, FALLOC_KEEP_SIZE, 0, 50000); show(os.fstat(fd).st_size)
fallocate(fd, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, 100, 9000)
show(os.fstat(fd).st_size, os.pread(fd, 3, 98), os.pread(fd, 3, 9098))
show(fails(fallocate, fd, 0, 0, 0), fails(fallocate, fd, 0, -1, 5), fails(fallocate, fd, FALLOC_PUNCH_HOLE, 0, 5))
os.posix_fallocate(fd, 0, 20000); show(os.fstat(fd).st_size)`,
  )
})

await t.test('the other modes of fallocate are EOPNOTSUPP', async (t) => {
  const code = `fd = os.open('file', os.O_RDWR | os.O_CREAT)
os.write(fd, bytes(100000))
for mode in (FALLOC_ZERO_RANGE, FALLOC_COLLAPSE_RANGE, FALLOC_INSERT_RANGE):
    show(fails(fallocate, fd, mode, 0, 4096))`
  t.strictSame(await shown(code), ['EOPNOTSUPP', 'EOPNOTSUPP', 'EOPNOTSUPP'])
})

await t.test('SEEK_DATA and SEEK_HOLE', async (t) => {
  await alike(
    t,
    `write('file', 'x' * 5000)
fd = os.open('file', os.O_RDONLY)
show(os.lseek(fd, 0, os.SEEK_DATA), os.lseek(fd, 0, os.SEEK_HOLE), os.lseek(fd, 4999, os.SEEK_DATA))
show(fails(os.lseek, fd, 5000, os.SEEK_DATA), fails(os.lseek, fd, 5000, os.SEEK_HOLE), fails(os.lseek, fd, 9999, os.SEEK_DATA))
show(os.lseek(fd, -10, os.SEEK_END), fails(os.lseek, fd, -1, os.SEEK_SET))`,
  )
})

await t.test('copy_file_range copies within the mount', async (t) => {
  await alike(
    t,
    `write('source', 'abcdefghij' * 10000)
source, target = os.open('source', os.O_RDONLY), os.open('target', os.O_RDWR | os.O_CREAT)
show(os.copy_file_range(source, target, 50000, 25, 10), os.fstat(target).st_size, os.pread(target, 12, 8))
show(os.copy_file_range(source, target, 10, 100000), os.copy_file_range(source, target, 100, 99990))
both = os.open('target', os.O_RDWR)
show(fails(os.copy_file_range, both, both, 100, 0, 50))
import shutil
shutil.copyfile('source', 'copied')
show(read('copied') == read('source'))`,
  )
})

await t.test('a write beyond the limit is EFBIG at once, the file as before', async (t) => {
  const found = await shown(`fd = os.open('file', os.O_RDWR | os.O_CREAT)
os.write(fd, b'x' * 1000)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
show(fails(os.pwrite, fd, b'y' * 8192, ${243 * 4096}), os.fstat(fd).st_size)
show(fails(os.truncate, 'file', ${limit + 1}), fails(os.ftruncate, fd, ${limit + 1}))
show(fails(fallocate, fd, 0, 0, ${limit + 1}), os.fstat(fd).st_size, read('file') == 'x' * 1000)
os.truncate('file', ${limit}); show(os.fstat(fd).st_size)
end = os.open('file', os.O_WRONLY | os.O_APPEND)
show(fails(os.write, end, b'z'), os.fstat(fd).st_size)`)
  t.strictSame(found, [['EFBIG', 1000], ['EFBIG', 'EFBIG'], ['EFBIG', 1000, true], limit, ['EFBIG', limit]])
  await sync()
  t.equal(fs.statSync(join(emulator.home, last(), 'file')).size, limit)
})

await t.test('a write over the limit that the kernel takes apart is short, as on a full disk', async (t) => {
  const found = await shown(`fd = os.open('file', os.O_RDWR | os.O_CREAT)
written = fails(os.pwrite, fd, b'y' * 8192, ${limit - 4096})
show(written == 'EFBIG' or 0 < written < 4096, os.fstat(fd).st_size <= ${limit})
`)
  t.strictSame(found, [[true, true]])
})

await t.test('a larger file of the service can be read and replaced, not changed or renamed', async (t) => {
  fs.writeFileSync(join(emulator.home, 'larger'), Buffer.alloc(limit + 10, 'a'))
  const found = await shown(`larger = '../larger'
deadline = time.time() + 10
while not os.path.exists(larger) and time.time() < deadline: time.sleep(0.05)
show(len(read(larger)))
show(fails(os.open, larger, os.O_RDWR), fails(os.truncate, larger, 5), fails(os.rename, larger, 'elsewhere'))
write(larger, 'small'); show(read(larger))`)
  t.strictSame(found, [limit + 10, ['EFBIG', 'EFBIG', 'EFBIG'], 'small'])
})

await t.test('st_blocks counts the bytes in units of 512', async (t) => {
  const found = await shown(`write('file', 'x' * 1025)
show(os.stat('file').st_blocks)
write('empty', ''); show(os.stat('empty').st_blocks)`)
  t.strictSame(found, [3, 0])
})
