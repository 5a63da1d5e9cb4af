/** Making, removing and renaming names. */
import t from 'tap'
import { startBehaviours } from './rig.ts'

const { alike, shown } = await startBehaviours(t)

await t.test('rename replaces a file, and an empty directory by a directory', async (t) => {
  await alike(
    t,
    `write('a', 'a'); write('b', 'b'); os.mkdir('d'); os.mkdir('e'); os.mkdir('full'); write('full/x', 'x')
os.rename('a', 'b'); show(read('b'), os.path.exists('a'))
os.rename('d', 'e'); show(sorted(os.listdir('.')))
show(fails(os.rename, 'b', 'e'), fails(os.rename, 'e', 'b'), fails(os.rename, 'e', 'full'))
show(fails(os.rename, 'missing', 'b'), fails(os.rename, 'full', 'full/x/y'), fails(os.rename, 'full', 'full/in'))
os.rename('b', 'b'); show(read('b'), fails(os.rename, 'b', 'missing/b'), fails(os.rename, 'full/x', 'b/x'))
os.rename('full', 'e'); show(os.listdir('e'), fails(os.rename, 'e/x', 'e'))`,
  )
})

await t.test('RENAME_NOREPLACE', async (t) => {
  await alike(
    t,
    `write('a', 'a'); write('b', 'b'); os.mkdir('d')
show(fails(rename2, 'a', 'b', RENAME_NOREPLACE), fails(rename2, 'a', 'd', RENAME_NOREPLACE), read('b'))
rename2('a', 'c', RENAME_NOREPLACE); show(sorted(os.listdir('.')))`,
  )
})

await t.test('RENAME_EXCHANGE and RENAME_WHITEOUT are EINVAL', async (t) => {
  const found = await shown(`write('a', 'a'); write('b', 'b')
show(fails(rename2, 'a', 'b', RENAME_EXCHANGE), fails(rename2, 'a', 'c', RENAME_WHITEOUT))
show(read('a'), read('b'), sorted(os.listdir('.')))`)
  t.strictSame(found, [
    ['EINVAL', 'EINVAL'],
    ['a', 'b', ['a', 'b']],
  ])
})

await t.test('rmdir and unlink take only what they are for', async (t) => {
  await alike(
    t,
    `os.mkdir('d'); write('d/x', ''); write('file', '')
show(fails(os.rmdir, 'd'), fails(os.unlink, 'd'), fails(os.rmdir, 'file'), fails(os.rmdir, 'missing'))
show(fails(os.unlink, 'missing'), fails(os.mkdir, 'd'), fails(os.mkdir, 'file'), fails(os.mkdir, 'no/way'))
os.unlink('d/x'); os.rmdir('d'); show(os.listdir('.'), fails(os.rmdir, '.'))`,
  )
})

await t.test('names of 255 bytes, and of 256', async (t) => {
  await alike(
    t,
    `longest = 'n' * 255
write(longest, 'x'); show(os.listdir('.') == [longest], read(longest))
umlauts = 'ä' * 127; write(umlauts, 'y'); show(sorted(len(name) for name in os.listdir('.')))
for call in (os.stat, os.mkdir, os.unlink, os.rmdir): show(fails(call, 'n' * 256), fails(call, 'ä' * 128))
show(fails(os.open, 'n' * 256, os.O_CREAT | os.O_WRONLY), fails(os.rename, longest, 'n' * 256))
os.rename(longest, 'm' * 255); show(read('m' * 255))`,
  )
})

await t.test('paths up to PATH_MAX, and deeper from within', async (t) => {
  await alike(
    t,
    `part = 'p' * 200
deep = '/'.join([part] * 18)
os.makedirs(deep); write(deep + '/file', 'deep'); show(read(deep + '/file'), len(deep + '/file'))
show(fails(os.stat, '/'.join([part] * 21)))
os.chdir(deep)
for _ in range(4): os.mkdir(part); os.chdir(part)
write('deeper', 'deeper'); show(read('deeper'), fails(os.getcwd) == 'ENAMETOOLONG' or True)`,
  )
})

await t.test('trailing slashes ask for a directory', async (t) => {
  await alike(
    t,
    `write('file', ''); os.mkdir('d')
show(fails(os.stat, 'file/'), fails(os.open, 'file/', os.O_RDONLY), fails(os.unlink, 'file/'), fails(os.rename, 'file', 'g/'))
show(fails(os.open, 'new/', os.O_CREAT | os.O_WRONLY), stat.S_ISDIR(os.stat('d/').st_mode))
os.mkdir('e/'); os.rename('e/', 'f/'); os.rmdir('f/'); show(sorted(os.listdir('.')))
show(fails(os.stat, 'file/x'), fails(os.stat, 'd/../file/..'), fails(os.stat, ''))`,
  )
})

await t.test('names may hold what POSIX allows', async (t) => {
  await alike(
    t,
    `for name in ('a b', 'ü', '-x', '%41', 'a+b', 'a#b?c&d=e', 'new' + chr(10) + 'line', 'tab' + chr(9), "q'uote", '*', '~', ':', '...', 'ﬀ', '日本', ' lead', 'trail ', 'a;b'):
    write(name, name); show(read(name) == name.encode().decode('latin-1'))
show(len(os.listdir('.')))`,
  )
})

await t.test('bytes that are no UTF-8 are EILSEQ: the service knows names as text', async (t) => {
  const found = await shown(`flags = os.O_CREAT | os.O_WRONLY
show(fails(os.open, b'x\\xff', flags), fails(os.mkdir, b'\\xc3'), fails(os.stat, b'x\\xfe'), os.listdir('.'))`)
  t.strictSame(found, [['EILSEQ', 'EILSEQ', 'EILSEQ', []]])
})

await t.test('names that differ by case or form are different names', async (t) => {
  await alike(
    t,
    `write('File', '1'); write('file', '2'); write('e\\u0301', '3'); write('\\u00e9', '4')
show(read('File'), read('file'), read('e\\u0301'), read('\\u00e9'), len(os.listdir('.')))`,
  )
})

await t.test('.. leads to where the directory is now', async (t) => {
  await alike(
    t,
    `os.makedirs('a/b/c'); os.makedirs('z'); write('z/mark', ''); write('a/mark-a', '')
os.chdir('a/b/c')
show(sorted(os.listdir('../..')), os.stat('..').st_ino == os.stat('../../b').st_ino)
os.rename('../../b', '../../../z/b')
show(sorted(os.listdir('../..')), os.stat('../..').st_ino == os.stat('../../../z').st_ino)`,
  )
})

await t.test('inode numbers are stable for the life of the mount', async (t) => {
  await alike(
    t,
    `write('a', 'a'); os.mkdir('d'); write('d/x', 'x')
before = {name: os.stat(name).st_ino for name in ('a', 'd', 'd/x')}
write('a', 'longer'); os.rename('a', 'b'); os.rename('d', 'e')
show(os.stat('b').st_ino == before['a'], os.stat('e').st_ino == before['d'], os.stat('e/x').st_ino == before['d/x'])
show(len({os.stat(name).st_ino for name in ('.', 'b', 'e', 'e/x')}))
show({entry.name: entry.inode() == os.stat(entry.name).st_ino for entry in os.scandir('.')})
fd = os.open('b', os.O_RDONLY); os.unlink('b'); write('b', 'new'); show(os.stat('b').st_ino != os.fstat(fd).st_ino)
time.sleep(2.5); show(os.stat('e/x').st_ino == before['d/x'])`,
  )
})

await t.test('what is made is seen by other processes at once', async (t) => {
  await alike(
    t,
    `show(fails(os.stat, 'late'), in_child(lambda: os.stat('late').st_size))
write('late', 'xyz'); show(in_child(lambda: os.stat('late').st_size), in_child(lambda: os.listdir('.')))
os.unlink('late'); show(in_child(lambda: os.stat('late').st_size), in_child(lambda: os.listdir('.')))`,
  )
})
