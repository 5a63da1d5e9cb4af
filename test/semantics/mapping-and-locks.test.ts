/** Memory mappings, and locks between the processes of one mount. */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startBehaviours } from './rig.ts'

const { alike, shown, sync, emulator, last } = await startBehaviours(t)

await t.test('a private mapping reads, and its stores stay private', async (t) => {
  await alike(
    t,
    `write('file', 'abc' * 5000)
fd = os.open('file', os.O_RDONLY)
private = mmap.mmap(fd, 0, access=mmap.ACCESS_COPY)
private[0:3] = b'XYZ'
show(private[0:6], read('file')[:6], private[14997:15000])`,
  )
})

await t.test('stores through a shared mapping are seen by reads, and reads see writes', async (t) => {
  await alike(
    t,
    `write('file', 'abc' * 5000)
fd = os.open('file', os.O_RDWR)
shared = mmap.mmap(fd, 0)
shared[0:3] = b'XYZ'
shared.flush()
show(read('file')[:6])
os.pwrite(fd, b'123', 6)
show(shared[6:9], os.fstat(fd).st_size)`,
  )
})

await t.test('stores after the last close of the descriptor reach the service', async (t) => {
  await shown(`write('file', 'a' * 10000)
fd = os.open('file', os.O_RDWR)
shared = mmap.mmap(fd, 0)
os.close(fd)
time.sleep(0.3)
shared[5000:5004] = b'late'
shared.close()`)
  await sync()
  t.equal(fs.readFileSync(join(emulator.home, last(), 'file'), 'latin1').slice(4999, 5005), 'alatea')
})

await t.test('msync(MS_SYNC) and fsync put mapped stores on the service', async (t) => {
  await shown(`write('file', 'a' * 10000)
fd = os.open('file', os.O_RDWR)
shared = mmap.mmap(fd, 0)
shared[0:5] = b'mixed'
shared.flush()
os.fsync(fd)`)
  t.equal(fs.readFileSync(join(emulator.home, last(), 'file'), 'latin1').slice(0, 6), 'mixeda')
})

await t.test('flock excludes other processes of this mount', async (t) => {
  await alike(
    t,
    `write('lock', '')
fd = os.open('lock', os.O_RDWR)
fcntl.flock(fd, fcntl.LOCK_EX)
def attempt(how):
    return lambda: fcntl.flock(os.open('lock', os.O_RDWR), how | fcntl.LOCK_NB)
show(in_child(attempt(fcntl.LOCK_EX)), in_child(attempt(fcntl.LOCK_SH)))
fcntl.flock(fd, fcntl.LOCK_SH)
show(in_child(attempt(fcntl.LOCK_EX)), in_child(attempt(fcntl.LOCK_SH)))
os.close(fd)
show(in_child(attempt(fcntl.LOCK_EX)))`,
  )
})

await t.test('POSIX locks exclude by range', async (t) => {
  await alike(
    t,
    `write('lock', 'x' * 100)
fd = os.open('lock', os.O_RDWR)
fcntl.lockf(fd, fcntl.LOCK_EX, 10, 20)
def attempt(start):
    return lambda: fcntl.lockf(os.open('lock', os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB, 5, start)
show(in_child(attempt(0)), in_child(attempt(22)), in_child(attempt(40)))
fcntl.lockf(fd, fcntl.LOCK_UN, 10, 20)
show(in_child(attempt(22)))`,
  )
})

await t.test('a waiting lock is granted when its holder ends', async (t) => {
  await alike(
    t,
    `write('lock', '')
ready, go = os.pipe()
pid = os.fork()
if pid == 0:
    fd = os.open('lock', os.O_RDWR)
    fcntl.lockf(fd, fcntl.LOCK_EX)
    os.write(go, b'x')
    time.sleep(0.2)
    os._exit(0)
os.read(ready, 1)
fd = os.open('lock', os.O_RDWR)
fcntl.lockf(fd, fcntl.LOCK_EX)
show('granted')
os.waitpid(pid, 0)`,
  )
})
