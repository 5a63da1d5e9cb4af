/**
 * A daemon that is killed after it has done what a program asked for, and before the program was told: the next one
 * tells it, and does nothing twice.
 */
import { join } from 'node:path'
import t from 'tap'
import { treeOf } from '../mount/rig.ts'
import { needs } from '../programs/installed.ts'
import { type Seeds, Stage } from './playing.ts'
import { fileTimeout, kills, mountOutliving, timeout } from './rig.ts'

t.setTimeout(fileTimeout)
/* each waits for the other side most of the time */
t.jobs = 2

const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * i) % 249))

interface Once {
  /** It asks for one change of names last, or writes last; what follows only looks. */
  readonly code: string
  /** Default: after this many changes of names. */
  readonly changes?: number
  /** In place of them: after this many writes. */
  readonly writes?: number
  readonly seeds?: Seeds
}

const shows = 'print(sorted(os.listdir()))\n'

const scenes: Readonly<Record<string, Once>> = {
  'a file that must be new': {
    code: `fd = os.open('file', os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640)
os.write(fd, b'written')
print(error(os.open, 'file', os.O_CREAT | os.O_EXCL), read('file'), oct(os.fstat(fd).st_mode))`,
  },
  'a directory': {
    code: `os.mkdir('directory', 0o750)
print(error(os.mkdir, 'directory'), oct(os.stat('directory').st_mode), os.listdir('directory'))`,
  },
  'a file of mknod': {
    code: `os.mknod('node', 0o600)
print(error(os.mknod, 'node'), read('node'), oct(os.stat('node').st_mode))`,
  },
  'a new name': {
    code: `write('old', b'written')
fd = os.open('old', os.O_RDWR)
os.rename('old', 'new')
os.pwrite(fd, b'W', 0)
print(error(os.rename, 'old', 'new'), read('new'), os.fstat(fd).st_ino == os.stat('new').st_ino)`,
    changes: 2,
  },
  'a new name for what has none': {
    seeds: { old: bytes },
    code: `os.rename('old', 'new')
print(error(os.rename, 'old', 'new'), hash(read('new')), error(os.stat, 'old'))`,
  },
  'a new name that must be free': {
    seeds: { old: 'theirs' },
    code: `print(libc.renameat2(-100, b'old', -100, b'new', 1), read('new'))
print(libc.renameat2(-100, b'new', -100, b'new', 1), ctypes.get_errno() == errno.EEXIST)`,
  },
  'a name over a file that is open and written to': {
    code: `write('new', b'new')
old = os.open('old', os.O_RDWR | os.O_CREAT)
os.write(old, b'old')
os.rename('new', 'old')
print(os.pread(old, 100, 0), read('old'), os.fstat(old).st_ino == os.stat('old').st_ino)
os.pwrite(old, b'further', 3)
print(os.pread(old, 100, 0), read('old'), os.fstat(old).st_size)`,
    changes: 3,
  },
  'a name over a file of the agent that is open': {
    seeds: { old: bytes },
    code: `write('new', b'new')
old = os.open('old', os.O_RDONLY)
first = os.read(old, 1000)
os.rename('new', 'old')
print(len(first), hash(first + os.read(old, 400000)), read('old'))`,
    changes: 2,
  },
  'a name over an open file, of a file that is open': {
    seeds: { old: bytes },
    code: `new = os.open('new', os.O_RDWR | os.O_CREAT)
os.write(new, b'new')
old = os.open('old', os.O_RDWR)
os.pwrite(old, b'OLD', 0)
os.rename('new', 'old')
os.write(new, b', and more')
os.pwrite(old, b'FURTHER', 100)
print(hash(os.pread(old, 400000, 0)), read('old'), os.pread(new, 100, 0))`,
    changes: 2,
  },
  'a directory of ours moves': {
    code: `os.mkdir('old')
write('old/file', b'written')
fd = os.open('old/file', os.O_RDWR)
os.rename('old', 'new')
os.pwrite(fd, b'W', 0)
print(os.listdir('new'), read('new/file'), error(os.stat, 'old'))`,
    changes: 3,
  },
  'a directory of the agent moves': {
    seeds: { 'old/file': 'theirs', 'old/below/file': bytes },
    code: `os.chdir('old/below')
os.rename('../../old', '../../new')
print(os.getcwd().endswith('/new/below'), hash(read('file')), os.listdir('../..'))`,
  },
  'a directory over an empty one': {
    code: `os.mkdir('empty')
os.mkdir('old')
write('old/file', b'written')
os.rename('old', 'empty')
print(read('empty/file'))`,
    changes: 4,
  },
  'a file goes': { seeds: { file: 'theirs' }, code: `os.unlink('file')\nprint(error(os.unlink, 'file'))` },
  'a file goes that is open and written to': {
    code: `fd = os.open('file', os.O_RDWR | os.O_CREAT)
os.write(fd, b'written')
os.unlink('file')
print(os.pread(fd, 100, 0), os.fstat(fd).st_size, os.fstat(fd).st_nlink, error(os.stat, 'file'))
os.write(fd, b', and further')
print(os.pread(fd, 100, 0))`,
    changes: 2,
  },
  'a file of the agent goes that is open': {
    seeds: { file: bytes },
    code: `fd = os.open('file', os.O_RDWR)
first = os.read(fd, 1000)
os.unlink('file')
print(hash(first + os.read(fd, 400000)), os.fstat(fd).st_size, error(os.stat, 'file'))
os.pwrite(fd, b'written', 100)
print(hash(os.pread(fd, 400000, 0)))`,
  },
  'a file of the agent goes that is open and was not read': {
    seeds: { file: bytes },
    code: `fd = os.open('file', os.O_RDONLY)
os.unlink('file')
print(hash(os.read(fd, 400000)), error(os.stat, 'file'))`,
  },
  'a directory goes': {
    code: `os.mkdir('directory')
os.rmdir('directory')
print(error(os.rmdir, 'directory'))`,
    changes: 2,
  },
  'a directory of the agent goes': {
    seeds: { 'directory/file': '' },
    code: `os.unlink('directory/file')
os.rmdir('directory')
print(error(os.rmdir, 'directory'))`,
    changes: 2,
  },
  'a line at the end': {
    code: `fd = os.open('log', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for i in range(4): os.write(fd, b'line %d\\n' % i)
print(read('log'), os.lseek(fd, 0, os.SEEK_END))`,
    writes: 3,
  },
  'a line at the end of what the agent has': {
    seeds: { log: bytes },
    code: `fd = os.open('log', os.O_RDWR | os.O_APPEND)
for i in range(3): os.write(fd, b'line %d\\n' % i)
print(hash(read('log')), os.fstat(fd).st_size, os.pread(fd, 100, 300000))`,
    writes: 2,
  },
  'much at the end': {
    code: `fd = os.open('log', os.O_RDWR | os.O_CREAT | os.O_APPEND)
for i in range(5): os.write(fd, bytes([65 + i]) * 70000)
print(hash(read('log')), os.fstat(fd).st_size)`,
    writes: 4,
  },
  'at the end of a file that has no name': {
    code: `fd = os.open('log', os.O_RDWR | os.O_CREAT | os.O_APPEND)
os.write(fd, b'first')
os.unlink('log')
for i in range(3): os.write(fd, b'line %d\\n' % i)
print(os.pread(fd, 100, 0), os.fstat(fd).st_size)`,
    writes: 3,
  },
  'an end that two write to': {
    code: `def lines():
    own = os.open('log', os.O_WRONLY | os.O_APPEND)
    for i in range(50): os.write(own, b'line\\n')
write('log', b'')
child = os.fork()
lines()
if child == 0: os._exit(0)
os.waitpid(child, 0)
print(read('log') == b'line\\n' * 100)`,
    writes: 41,
  },
}

/* a daemon is armed for one scene, and what is left of the one before must not count: neither kind follows itself */
const ofNames = Object.entries(scenes).filter(([, { writes }]) => writes === undefined)
const ofWrites = Object.entries(scenes).filter(([, { writes }]) => writes !== undefined)
const inTurn = ofNames.flatMap((scene, at) => [scene, ...ofWrites.slice(at, at + 1)])
const half = Math.ceil(inTurn.length / 2)

for (const part of [inTurn.slice(0, half), inTurn.slice(half)])
  void t.test(
    `what was done for a request is not done again when it comes again: ${part.map(([name]) => name).join('; ')}`,
    { timeout: 3 * timeout, ...needs('python3') },
    async (t) => {
      const failpoints = part.map(([, { changes = 1, writes }]) =>
        writes === undefined ? `naming.after:${changes}` : `spool.write.after:${writes}`,
      )
      const armed = kills === 0 ? {} : { MOUNT_SESSION_FAILPOINT: failpoints.join(',') }
      const mounted = await mountOutliving(t, { env: armed, emulator: { latencyMs: 10 } })
      const stage = new Stage(mounted)
      const local = join(mounted.root, 'local')
      let ends = 0
      for (const [name, { code, seeds }] of part) {
        t.comment(name)
        await stage.alike(t, `${code}\n${shows}`, { seeds })
        if (kills > 0) t.equal(mounted.killedAt().length, ++ends, 'it was killed where it was to be')
      }
      await mounted.sync()
      t.strictSame(treeOf(mounted.emulator.home), treeOf(local), 'the service has the same')
      t.strictSame(mounted.logged('error'), [], 'the daemons met no fault of their own')
    },
  )
