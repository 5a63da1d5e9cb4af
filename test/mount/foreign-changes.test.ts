/**
 * The agent changes files on its side while programs have them cached, open or dirty on ours: what they see,
 * when, and with which errno. Layer: test; with `modified_time` always 0, and real.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type MountedEmulator, mountEmulator } from './rig.ts'

const ttlMs = 300

/* until(condition): waits for what must come about within the TTL, and a margin for a busy machine */
const prelude = `import errno, os, sys, time
def until(condition, what='it'):
    end = time.time() + 10
    while time.time() < end:
        try:
            if condition(): return
        except OSError: pass
        time.sleep(0.05)
    raise SystemExit(what + ' did not come about')
def error(call, *args):
    try: call(*args)
    except OSError as problem: return errno.errorcode[problem.errno]
    return 'none'
def read(path):
    with open(path) as file: return file.read()
def write(path, text):
    with open(path, 'w') as file: file.write(text)
`

class Scene {
  readonly #mounted: MountedEmulator
  readonly #flag: string
  #count = 0

  constructor(mounted: MountedEmulator) {
    this.#mounted = mounted
    this.#flag = join(mounted.root, 'flag')
  }

  get mounted(): MountedEmulator {
    return this.#mounted
  }

  /** Where something lies on the agent's side. */
  at(path: string): string {
    return join(this.#mounted.emulator.home, path)
  }

  text(path: string): string {
    return fs.readFileSync(this.at(path), 'utf8')
  }

  /** Runs Python in the mount; `CHANGE` in it is the place where the agent does its part. What it printed. */
  async play(code: string, change: () => void): Promise<string[]> {
    const flag = `${this.#flag}-${++this.#count}`
    const script = join(this.#mounted.root, `script-${this.#count}.py`)
    const wait = `print('CHANGE', flush=True)\nwhile not os.path.exists(${JSON.stringify(flag)}): time.sleep(0.01)\n`
    fs.writeFileSync(script, prelude + code.replace('CHANGE\n', wait))
    const running = this.#mounted.startSh(`exec python3 ${script}`)
    await running.until((said) => said.includes('CHANGE\n'))
    change()
    fs.writeFileSync(flag, '')
    const { code: exit, stdout, stderr } = await running.ended
    if (exit !== 0) throw new Error(`${code}\n${stdout}\n${stderr}`)
    return stdout.split('\n').filter((line) => line !== '' && line !== 'CHANGE')
  }
}

for (const modifiedTime of ['zero', 'real'] as const) {
  await t.test(`modified_time ${modifiedTime}`, async (t) => {
    const mounted = await mountEmulator(t, {
      emulator: { latencyMs: 5, modifiedTime, seedFiles: false },
      args: [`--ttl=${ttlMs}ms`],
    })
    const scene = new Scene(mounted)
    await cached(t, scene)
    await open(t, scene)
    await dirty(t, scene, modifiedTime)
    t.strictSame(mounted.logged('error'), [], 'the daemon met no fault of its own')
  })
}

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

  await t.test('replaced while open: the descriptor moves to the new content, the inode stays', async (t) => {
    fs.writeFileSync(scene.at('moves'), 'the old content')
    const said = await scene.play(
      `until(lambda: os.path.exists('moves')); fd = os.open('moves', os.O_RDONLY); inode = os.fstat(fd).st_ino; print(os.pread(fd, 100, 0))
CHANGE
until(lambda: os.fstat(fd).st_size == 3); print(os.pread(fd, 100, 0), os.fstat(fd).st_ino == inode)`,
      () => fs.writeFileSync(scene.at('moves'), 'new'),
    )
    t.strictSame(said, ["b'the old content'", "b'new' True"])
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

async function dirty(t: Test, scene: Scene, modifiedTime: 'zero' | 'real'): Promise<void> {
  const conflicts = (): string[] =>
    fs.readdirSync(scene.mounted.emulator.home).filter((name) => name.includes('.conflict-'))

  await t.test('replaced while dirty: ours takes the name, theirs is saved beside it', async (t) => {
    fs.writeFileSync(scene.at('both'), 'the base\n')
    await scene.play(
      `until(lambda: read('both') == 'the base\\n'); fd = os.open('both', os.O_WRONLY | os.O_APPEND); os.write(fd, b'ours\\n'); time.sleep(0.3)
CHANGE
time.sleep(0.4); os.write(fd, b'more\\n'); os.close(fd)
print(read('both') == 'the base\\nours\\nmore\\n')`,
      () => fs.writeFileSync(scene.at('both'), 'theirs, of another size\n'),
    )
    await scene.mounted.sync()
    t.equal(scene.text('both'), 'the base\nours\nmore\n')
    const saved = conflicts().filter((name) => name.startsWith('both.'))
    t.equal(saved.length, 1)
    t.equal(scene.text(saved[0] ?? 'both'), 'theirs, of another size\n')
  })

  const sameSize = modifiedTime === 'real' ? 'theirs is saved beside it' : 'not seen, the last writer wins'
  await t.test(`replaced by the same size while dirty: ${sameSize}`, async (t) => {
    fs.writeFileSync(scene.at('equal'), 'base\n')
    fs.utimesSync(scene.at('equal'), 1_700_000_000, 1_700_000_000)
    await scene.play(
      `until(lambda: read('equal') == 'base\\n'); fd = os.open('equal', os.O_WRONLY); os.write(fd, b'ours\\n'); time.sleep(0.3)
CHANGE
time.sleep(0.4); os.close(fd)`,
      () => fs.writeFileSync(scene.at('equal'), 'them\n'),
    )
    await scene.mounted.sync()
    t.equal(scene.text('equal'), 'ours\n')
    t.equal(conflicts().filter((name) => name.startsWith('equal.')).length, modifiedTime === 'real' ? 1 : 0)
  })

  await t.test('deleted while dirty: ours comes back, with its directory', async (t) => {
    fs.mkdirSync(scene.at('home-d'))
    fs.writeFileSync(scene.at('home-d/file'), 'base')
    const said = await scene.play(
      `until(lambda: read('home-d/file') == 'base'); fd = os.open('home-d/file', os.O_WRONLY); os.write(fd, b'ours'); time.sleep(0.1)
CHANGE
time.sleep(0.5); print(read('home-d/file'), os.listdir('home-d')); os.close(fd)`,
      () => fs.rmSync(scene.at('home-d'), { recursive: true }),
    )
    t.strictSame(said, ["ours ['file']"])
    await scene.mounted.sync()
    t.equal(scene.text('home-d/file'), 'ours')
  })

  await t.test('filled behind our rmdir: the directory is shown again', async (t) => {
    fs.mkdirSync(scene.at('filled'))
    const said = await scene.play(
      `until(lambda: os.path.isdir('filled')); os.listdir('filled')
os.rmdir('filled')
CHANGE
until(lambda: os.path.exists('filled/theirs')); print(read('filled/theirs'))`,
      () => fs.writeFileSync(scene.at('filled/theirs'), 'kept'),
    )
    t.strictSame(said, ['kept'])
  })
}
