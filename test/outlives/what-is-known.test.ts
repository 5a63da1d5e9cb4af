/**
 * What only the daemon knew of files when it was killed: times, names that somebody else has taken. Layer: test.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { eventually } from '../mount/programs.ts'
import { describe } from '../mount/rig.ts'
import { needs } from '../programs/installed.ts'
import { Stage } from './playing.ts'
import { fileTimeout, kills, mountOutliving, type Outliving, timeout } from './rig.ts'
import { stateDirectory } from './state-file.ts'

t.setTimeout(fileTimeout)

const python = { timeout, ...needs('python3') }

/** Of the spool, what has a file of its own. */
const spooled = (root: string): readonly string[] =>
  fs
    .readdirSync(join(root, 'state'), { recursive: true, encoding: 'utf8' })
    .filter((path) => /spool\/\d+$/.test(path))

/** What the mount has written down of what the kernel knows. */
const known = (mounted: Outliving): string =>
  fs.readFileSync(join(stateDirectory(mounted), 'kernel-state'), 'utf8')

void t.test('the time of the last write stays, of a file with a name and without', python, async (t) => {
  const mounted = await mountOutliving(t)
  await new Stage(mounted).alike(
    t,
    `named, nameless = (os.open(name, os.O_RDWR | os.O_CREAT) for name in ('named', 'nameless'))
os.unlink('nameless')
for data in (b'first', b'second'):
    for fd in (named, nameless): os.write(fd, data)
    time.sleep(0.1)
def times(): return [(os.fstat(fd).st_mtime_ns, os.fstat(fd).st_ctime_ns) for fd in (named, nameless)]
before = times()
stop('written')
for fd in (named, nameless): attributes(fd)
print(times() == before)`,
  )
})

void t.test('a file is read on in a directory that the agent has removed', python, async (t) => {
  const mounted = await mountOutliving(t)
  const scene = await new Stage(mounted).start(
    `fd = os.open('above/below/file', os.O_RDONLY)
print(len(os.pread(fd, 300000, 0)))
stop('open')
while os.path.exists('above'): time.sleep(0.05)
stop('gone')
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
print(os.pread(fd, 300000, 0) == b'x' * 300000, os.fstat(fd).st_nlink)`,
    { 'above/below/file': 'x'.repeat(300_000) },
  )
  await scene.at('open')
  fs.rmSync(join(scene.home, 'above'), { recursive: true })
  scene.goOn('open')
  await scene.at('gone')
  /* copied in the background, and then written down: until then nothing but this process has it */
  t.ok(await eventually(() => known(mounted).includes('"generation"')))
  await mounted.kill()
  scene.goOn('gone')
  const ended = await scene.ended
  t.match(ended, { code: 0, stdout: 'True 0\n', stderr: '' }, describe(ended))
})

void t.test(
  'a file that is cut by its name while the kill comes is held open by nobody',
  python,
  async (t) => {
    const mounted = await mountOutliving(t)
    const scene = await new Stage(mounted).start(
      `import threading
cutting = threading.Thread(target=os.truncate, args=('file', 200000))
stop('ready')
cutting.start()
stop('cutting')
cutting.join()
print(os.stat('file').st_size)
os.unlink('file')
stop('removed')`,
      { file: 'x'.repeat(300_000) },
    )
    await scene.at('ready')
    const hold = mounted.emulator.hold({ verb: 'download' })
    scene.goOn('ready')
    await hold.reached
    /* with an answer to somebody else, what is known is written down */
    await mounted.ok('mkdir another; ls another')
    await mounted.kill()
    hold.release()
    scene.goOn('cutting')
    await scene.at('removed')
    await mounted.sync()
    t.ok(await eventually(() => spooled(mounted.root).length === 0), 'nothing is kept of it')
    scene.goOn('removed')
    t.match(await scene.ended, { code: 0, stdout: /^200000$/m, stderr: '' })
  },
)

void t.test(
  'the copy of an open file that is as the service has it is not left behind',
  python,
  async (t) => {
    const mounted = await mountOutliving(t)
    const scene = await new Stage(mounted).start(
      `fd = os.open('file', os.O_RDWR | os.O_CREAT)
os.write(fd, b'x' * 300000)
os.fsync(fd)
stop('written')
print(os.pread(fd, 1, 299999))
os.close(fd)
stop('closed')`,
    )
    await scene.at('written')
    await mounted.kill()
    scene.goOn('written')
    await scene.at('closed')
    t.ok(await eventually(() => spooled(mounted.root).length === 0), 'nothing is kept of it')
    scene.goOn('closed')
    t.match(await scene.ended, { code: 0, stderr: '' })
  },
)

void t.test(
  'a file that the agent replaces after a kill is not given in parts of both',
  python,
  async (t) => {
    const mounted = await mountOutliving(t)
    const scene = await new Stage(mounted).start(
      `fd = os.open('file', os.O_RDONLY)
print(os.pread(fd, 4, 0))
stop('reading')
while os.stat('file').st_size != 200000: time.sleep(0.05)
print(error(os.pread, fd, 4, 100000))`,
      { file: 'x'.repeat(300_000) },
    )
    await scene.at('reading')
    await mounted.kill()
    fs.writeFileSync(join(scene.home, 'file'), 'y'.repeat(200_000))
    scene.goOn('reading')
    const ended = await scene.ended
    t.match(ended, { code: 0, stdout: kills === 0 ? 'none' : 'ESTALE', stderr: '' }, describe(ended))
  },
)
