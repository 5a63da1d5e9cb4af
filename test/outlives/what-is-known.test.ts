/**
 * What only the daemon knew of files when it was killed: times, names that somebody else has taken. Layer: test.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { describe } from '../mount/rig.ts'
import { needs } from '../programs/installed.ts'
import { Stage } from './playing.ts'
import { fileTimeout, mountOutliving, timeout } from './rig.ts'

t.setTimeout(fileTimeout)

const python = { timeout, ...needs('python3') }

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
  await mounted.kill()
  scene.goOn('gone')
  const ended = await scene.ended
  t.match(ended, { code: 0, stdout: 'True 0\n', stderr: '' }, describe(ended))
})
