/**
 * What only the daemon knew of files when it was killed: times, names that somebody else has taken. Layer: test.
 */
import t from 'tap'
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
