/**
 * The agent changes files on its side while programs have them cached or open on ours: what they see, when, and
 * with which errno. Layer: test; with `modified_time` always 0, and real.
 */
import * as fs from 'node:fs'
import t, { type Test } from 'tap'
import { onEachScene, type Scene } from './scene.ts'

await onEachScene(t, async (t, scene) => {
  await cached(t, scene)
  await open(t, scene)
})

async function cached(t: Test, scene: Scene): Promise<void> {
  await t.test('created: it is there within the TTL, a remembered miss goes', async (t) => {
    const said = await scene.play(
      `print(os.path.exists('new'), error(os.stat, 'new/deep'))
CHANGE
until(lambda: read('new/deep') == 'here'); print(os.listdir('new'), 'new' in os.listdir('.'))`,
      () => {
        fs.mkdirSync(scene.at('new'))
        fs.writeFileSync(scene.at('new/deep'), 'here')
      },
    )
    t.strictSame(said, ['False ENOENT', "['deep'] True"])
  })

  await t.test(
    'replaced by another size while cached: new bytes and a new mtime within the TTL',
    async (t) => {
      fs.writeFileSync(scene.at('file-a'), 'before')
      const said = await scene.play(
        `until(lambda: read('file-a') == 'before'); first = os.stat('file-a')
CHANGE
until(lambda: os.stat('file-a').st_size == 12); print(read('file-a'), os.stat('file-a').st_mtime_ns > first.st_mtime_ns, os.stat('file-a').st_ino == first.st_ino)`,
        () => fs.writeFileSync(scene.at('file-a'), 'and after it'),
      )
      t.strictSame(said, ['and after it True True'])
    },
  )

  await t.test(
    'replaced by the same size while cached: an open after the TTL reads the new bytes',
    async (t) => {
      fs.writeFileSync(scene.at('file-b'), 'before')
      const said = await scene.play(
        `until(lambda: read('file-b') == 'before'); first = os.stat('file-b').st_mtime_ns
CHANGE
until(lambda: read('file-b') == 'after!'); until(lambda: os.stat('file-b').st_mtime_ns > first, 'a new mtime'); print(read('file-b'))`,
        () => fs.writeFileSync(scene.at('file-b'), 'after!'),
      )
      t.strictSame(said, ['after!'])
    },
  )

  await t.test('grown while cached: the next open reads on', async (t) => {
    fs.writeFileSync(scene.at('log'), 'one\n')
    const said = await scene.play(
      `until(lambda: read('log') == 'one\\n')
CHANGE
until(lambda: os.stat('log').st_size == 8); print(read('log').split())`,
      () => fs.appendFileSync(scene.at('log'), 'two\n'),
    )
    t.strictSame(said, ["['one', 'two']"])
  })

  await t.test('deleted while cached: ENOENT within the TTL', async (t) => {
    fs.mkdirSync(scene.at('dir-c'))
    fs.writeFileSync(scene.at('dir-c/file'), 'x')
    const said = await scene.play(
      `until(lambda: read('dir-c/file') == 'x')
CHANGE
until(lambda: not os.path.exists('dir-c/file')); print(error(open, 'dir-c/file'), error(os.stat, 'dir-c'), error(os.listdir, 'dir-c'))`,
      () => fs.rmSync(scene.at('dir-c'), { recursive: true }),
    )
    t.strictSame(said, ['ENOENT ENOENT ENOENT'])
  })

  await t.test('a file turned into a directory, and a directory into a file', async (t) => {
    fs.writeFileSync(scene.at('turns'), 'x')
    fs.mkdirSync(scene.at('returns'))
    fs.writeFileSync(scene.at('returns/below'), 'x')
    const said = await scene.play(
      `until(lambda: read('turns') == 'x' and read('returns/below') == 'x')
CHANGE
until(lambda: os.path.isdir('turns') and os.path.isfile('returns'))
print(read('turns/below'), read('returns'), error(open, 'turns'), error(os.stat, 'returns/below'))`,
      () => {
        fs.rmSync(scene.at('turns'))
        fs.mkdirSync(scene.at('turns'))
        fs.writeFileSync(scene.at('turns/below'), 'deep')
        fs.rmSync(scene.at('returns'), { recursive: true })
        fs.writeFileSync(scene.at('returns'), 'flat')
      },
    )
    t.strictSame(said, ['deep flat EISDIR ENOTDIR'])
  })
}

async function open(t: Test, scene: Scene): Promise<void> {
  await t.test('grown while open: the same descriptor reads on', async (t) => {
    fs.writeFileSync(scene.at('grows'), 'one\n')
    const said = await scene.play(
      `until(lambda: os.path.exists('grows')); fd = os.open('grows', os.O_RDONLY); print(os.read(fd, 100))
CHANGE
until(lambda: os.fstat(fd).st_size == 8); print(os.read(fd, 100), os.fstat(fd).st_size)`,
      () => fs.appendFileSync(scene.at('grows'), 'two\n'),
    )
    t.strictSame(said, ["b'one\\n'", "b'two\\n' 8"])
  })

  await t.test(
    'replaced while it is read: the descriptor keeps what it began, the name has another inode',
    async (t) => {
      fs.writeFileSync(scene.at('moves'), 'the old content')
      const said = await scene.play(
        `until(lambda: os.path.exists('moves')); fd = os.open('moves', os.O_RDONLY); inode = os.fstat(fd).st_ino; print(os.pread(fd, 3, 0))
CHANGE
until(lambda: os.stat('moves').st_size == 3)
print(os.pread(fd, 100, 3), os.fstat(fd).st_size, os.fstat(fd).st_ino == inode, os.stat('moves').st_ino == inode, read('moves'))`,
        () => fs.writeFileSync(scene.at('moves'), 'new'),
      )
      t.strictSame(said, ["b'the'", "b' old content' 15 True False new"])
    },
  )

  await t.test('replaced while open and not read yet: the descriptor moves to the new content', async (t) => {
    fs.writeFileSync(scene.at('fresh'), 'the old content')
    const said = await scene.play(
      `until(lambda: os.path.exists('fresh')); fd = os.open('fresh', os.O_RDONLY); inode = os.fstat(fd).st_ino; print('open')
CHANGE
until(lambda: os.fstat(fd).st_size == 3); print(os.pread(fd, 100, 0), os.fstat(fd).st_ino == inode)`,
      () => fs.writeFileSync(scene.at('fresh'), 'new'),
    )
    t.strictSame(said, ['open', "b'new' True"])
  })

  await t.test(
    'replaced by the same size while it is read: others open the new, nobody reads a mix',
    async (t) => {
      const old = Buffer.alloc(6_000_000, 'o')
      fs.writeFileSync(scene.at('swaps'), old)
      const said = await scene.play(
        `until(lambda: os.path.exists('swaps')); read('swaps'); fd = os.open('swaps', os.O_RDONLY); print(os.read(fd, 1000000).strip(b'o'))
CHANGE
until(lambda: read('swaps').strip('n') == '')
rest = b''.join(iter(lambda: os.read(fd, 100000), b'')); print(len(rest), rest.strip(b'o'), len(read('swaps').strip('n')))`,
        () => fs.writeFileSync(scene.at('swaps'), Buffer.alloc(6_000_000, 'n')),
      )
      t.strictSame(said, ["b''", "5000000 b'' 0"])
    },
  )

  await t.test(
    'replaced while it is mapped: the mapping stays what it was, another one is new',
    async (t) => {
      fs.writeFileSync(scene.at('mapped'), Buffer.alloc(300_000, 'o'))
      const said = await scene.play(
        `import mmap; until(lambda: os.path.exists('mapped')); fd = os.open('mapped', os.O_RDONLY); m = mmap.mmap(fd, 0, mmap.MAP_PRIVATE, mmap.PROT_READ); print(m[0:1])
CHANGE
until(lambda: os.stat('mapped').st_size == 200000)
other = os.open('mapped', os.O_RDONLY); n = mmap.mmap(other, 0, mmap.MAP_SHARED, mmap.PROT_READ)
print(len(m), m[:].strip(b'o'), len(n), n[:].strip(b'n'))`,
        () => {
          /* what is still being sent goes on to its end */
          fs.writeFileSync(scene.at('mapped.new'), Buffer.alloc(200_000, 'n'))
          fs.renameSync(scene.at('mapped.new'), scene.at('mapped'))
        },
      )
      t.strictSame(said, ["b'o'", "300000 b'' 200000 b''"])
    },
  )

  await t.test(
    'replaced while open for writing and not read yet: the first write is to the new content',
    async (t) => {
      fs.writeFileSync(scene.at('base'), 'the old content')
      const said = await scene.play(
        `until(lambda: os.path.exists('base')); fd = os.open('base', os.O_RDWR); print('open')
CHANGE
until(lambda: os.fstat(fd).st_size == 11); os.pwrite(fd, b'NEW', 0); print(os.pread(fd, 100, 0)); os.fsync(fd)`,
        () => fs.writeFileSync(scene.at('base'), 'new content'),
      )
      t.strictSame(said, ['open', "b'NEW content'"])
      t.equal(scene.text('base'), 'NEW content')
    },
  )

  await t.test('replaced since it was read: it is not written to', async (t) => {
    fs.writeFileSync(scene.at('edited'), 'the old content')
    const said = await scene.play(
      `until(lambda: os.path.exists('edited')); fd = os.open('edited', os.O_RDWR); print(os.pread(fd, 100, 0))
CHANGE
until(lambda: os.stat('edited').st_size == 11); print(error(os.pwrite, fd, b'NEW', 0), read('edited'))`,
      () => fs.writeFileSync(scene.at('edited'), 'new content'),
    )
    t.strictSame(said, ["b'the old content'", 'ESTALE new content'])
    t.equal(scene.text('edited'), 'new content')
  })

  await t.test('created in a directory that is open: the next pass shows it', async (t) => {
    fs.mkdirSync(scene.at('open-d'))
    fs.writeFileSync(scene.at('open-d/first'), '')
    const said = await scene.play(
      `until(lambda: os.path.isdir('open-d')); fd = os.open('open-d', os.O_RDONLY); print(os.listdir(fd))
CHANGE
until(lambda: 'second' in os.listdir(fd)); print(sorted(os.listdir(fd)))`,
      () => fs.writeFileSync(scene.at('open-d/second'), ''),
    )
    t.strictSame(said, ["['first']", "['first', 'second']"])
  })

  await t.test('deleted while open and before it was read: reading is ENOENT', async (t) => {
    fs.writeFileSync(scene.at('unread'), 'never fetched')
    const said = await scene.play(
      `until(lambda: os.path.exists('unread')); fd = os.open('unread', os.O_RDONLY)
CHANGE
until(lambda: not os.path.exists('unread')); print(error(os.pread, fd, 100, 0))`,
      () => fs.rmSync(scene.at('unread')),
    )
    t.strictSame(said, ['ENOENT'])
  })

  await t.test('deleted while open: what was read stays readable, the name is ENOENT', async (t) => {
    fs.writeFileSync(scene.at('leaves'), 'still here')
    const said = await scene.play(
      `until(lambda: os.path.exists('leaves')); fd = os.open('leaves', os.O_RDONLY); print(os.pread(fd, 100, 0))
CHANGE
until(lambda: not os.path.exists('leaves')); print(os.pread(fd, 100, 0), os.fstat(fd).st_nlink, error(open, 'leaves'))`,
      () => fs.rmSync(scene.at('leaves')),
    )
    t.strictSame(said, ["b'still here'", "b'still here' 0 ENOENT"])
  })

  await t.test('turned into a directory while open: the descriptor keeps the file', async (t) => {
    fs.writeFileSync(scene.at('becomes'), 'a file')
    const said = await scene.play(
      `until(lambda: os.path.exists('becomes')); fd = os.open('becomes', os.O_RDONLY); print(os.pread(fd, 100, 0))
CHANGE
until(lambda: os.path.isdir('becomes')); print(os.pread(fd, 100, 0), error(open, 'becomes', 'w'))`,
      () => {
        fs.rmSync(scene.at('becomes'))
        fs.mkdirSync(scene.at('becomes'))
      },
    )
    t.strictSame(said, ["b'a file'", "b'a file' EISDIR"])
  })
}
