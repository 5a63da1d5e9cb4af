/**
 * Who waits for the service, or for the daemon itself, when the daemon dies or stands still: a barrier waits on and
 * tells the truth, Ctrl-C ends it, and what was asked for is done once.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { eventually, killGroup } from '../mount/programs.ts'
import { isMounted, isRunning } from '../mount/rig.ts'
import { needs } from '../programs/installed.ts'
import { Stage } from './playing.ts'
import { fileTimeout, mountOutliving, signal, timeout } from './rig.ts'

t.setTimeout(fileTimeout)

const python = { timeout, ...needs('python3') }

for (const [call, barrier] of Object.entries({
  fsync: 'os.fsync(fd)',
  'fsync of the directory': "os.fsync(os.open('.', os.O_RDONLY))",
  'msync of a mapping': "memory[0:7] = b'written'; memory.flush()",
  'a write with O_SYNC': "os.write(os.open('file', os.O_WRONLY | os.O_SYNC), b'written')",
}))
  void t.test(
    `${call} that waits returns when the service has the file, and not before`,
    python,
    async (t) => {
      const mounted = await mountOutliving(t)
      const hold = mounted.emulator.hold({ verb: 'upload' })
      const scene = await new Stage(mounted).start(
        `fd = os.open('file', os.O_RDWR | os.O_CREAT)
os.write(fd, b'written')
memory = mmap.mmap(fd, 7)
print('at the barrier', flush=True)
${barrier}
print('returned', flush=True)`,
      )
      await Promise.all([scene.at('the barrier'), hold.reached])
      await mounted.kill()
      t.notMatch(scene.stdout(), 'returned', 'it waits on')
      hold.release()
      await scene.until((text) => text.includes('returned'))
      t.equal(fs.readFileSync(join(scene.home, 'file'), 'utf8'), 'written', 'the service has it')
      t.match(await scene.ended, { code: 0, stderr: '' })
    },
  )

/* by default a SIGINT ends Python's fsync with KeyboardInterrupt; here it is to end the process, as in C */
const waits = `signal.signal(signal.SIGINT, signal.SIG_DFL)
fd = os.open('file', os.O_WRONLY | os.O_CREAT)
os.write(fd, b'written')
print('at the barrier', flush=True)
os.fsync(fd)`

void t.test('Ctrl-C ends a barrier that has waited through a kill; the upload goes on', python, async (t) => {
  const mounted = await mountOutliving(t)
  const hold = mounted.emulator.hold({ verb: 'upload' })
  const scene = await new Stage(mounted).start(waits)
  await Promise.all([scene.at('the barrier'), hold.reached])
  await mounted.kill()
  scene.child.kill('SIGINT')
  t.equal((await scene.ended).signal, 'SIGINT')
  hold.release()
  await mounted.sync()
  t.equal(fs.readFileSync(join(scene.home, 'file'), 'utf8'), 'written')
})

void t.test('Ctrl-C while nobody serves ends a barrier when somebody does', python, async (t) => {
  const mounted = await mountOutliving(t)
  const hold = mounted.emulator.hold({ verb: 'upload' })
  const scene = await new Stage(mounted).start(waits)
  await Promise.all([scene.at('the barrier'), hold.reached])
  const victim = await mounted.strike()
  scene.child.kill('SIGINT')
  await mounted.served(victim)
  t.equal((await scene.ended).signal, 'SIGINT')
  hold.release()
  await mounted.sync()
  t.equal(fs.readFileSync(join(scene.home, 'file'), 'utf8'), 'written')
})

void t.test('a signal with a handler fails no call that waits through a kill', python, async (t) => {
  const mounted = await mountOutliving(t)
  const hold = mounted.emulator.hold({ verb: 'upload' })
  /* by libc, since Python tries a call again by itself */
  const scene = await new Stage(mounted).start(
    `came = []
signal.signal(signal.SIGUSR1, lambda *_: came.append(1))
signal.siginterrupt(signal.SIGUSR1, False)
fd = os.open('file', os.O_WRONLY | os.O_CREAT)
os.write(fd, b'written')
print('at the barrier', flush=True)
print(libc.fsync(fd), came)`,
  )
  await Promise.all([scene.at('the barrier'), hold.reached])
  const victim = await mounted.strike()
  scene.child.kill('SIGUSR1')
  await mounted.served(victim)
  hold.release()
  t.match(await scene.ended, { code: 0, stdout: 'at the barrier\n0 [1]\n', stderr: '' })
})

void t.test(
  'a program that is killed while nobody serves is gone, and its file is whole',
  python,
  async (t) => {
    const mounted = await mountOutliving(t)
    const scene = await new Stage(mounted).start(
      `n = 0
while True:
    n += 1
    write(f'new-{n}', b'written')
    os.rename(f'new-{n}', f'file-{n}')
    if n == 20: print('at work', flush=True)`,
    )
    await scene.at('work')
    const victim = await mounted.strike()
    killGroup(scene.child)
    await mounted.served(victim)
    t.equal((await scene.ended).signal, 'SIGKILL')
    await mounted.sync()
    const names = fs.readdirSync(scene.home)
    t.ok(names.length >= 20)
    /* the last one may have been cut short as on a local disk */
    const whole = names.filter((name) => fs.readFileSync(join(scene.home, name), 'utf8') === 'written')
    t.ok(whole.length >= names.length - 1, `${names.length - whole.length} of ${names.length} are not whole`)
    t.equal(await mounted.ok(`ls ${scene.name} | wc -l`), `${names.length}\n`)
  },
)

void t.test(
  'mount-session sync that is asked for after a kill waits for what was written before',
  async (t) => {
    const mounted = await mountOutliving(t)
    const hold = mounted.emulator.hold({ verb: 'upload' })
    await mounted.ok('for i in $(seq 20); do echo "text $i" > file-$i; done')
    await mounted.kill()
    const syncing = mounted.startCommand(['sync', mounted.directory], { limitMs: 60_000 })
    await hold.reached
    hold.release()
    t.match(await syncing.ended, { code: 0 })
    t.equal(fs.readdirSync(mounted.emulator.home).length, 20)
  },
)

void t.test('a daemon that stands still for a while, and goes on, loses nothing', { timeout }, async (t) => {
  const mounted = await mountOutliving(t)
  const writing = mounted.startSh('for i in $(seq 2000); do echo "line $i" >> log; echo "$i"; done', {
    limitMs: 120_000,
  })
  await writing.until((text) => text.includes('\n20\n'))
  const pid = mounted.daemon() ?? mounted.pid
  signal(pid, 'SIGSTOP')
  /* as long as a machine may be suspended or overloaded without anything being wrong */
  await new Promise((resolve) => setTimeout(resolve, 4000))
  t.ok(isRunning(pid), 'it is not taken for dead')
  signal(pid, 'SIGCONT')
  t.match(await writing.ended, { code: 0, stderr: '' })
  t.equal(mounted.daemon(), pid, 'the same daemon serves on')
  await mounted.sync()
  const lines = fs.readFileSync(join(mounted.emulator.home, 'log'), 'utf8').split('\n')
  t.strictSame(lines, [...Array.from({ length: 2000 }, (_, i) => `line ${i + 1}`), ''])
})

void t.test(
  'a daemon that is killed while it stands still is followed by another',
  { timeout },
  async (t) => {
    const mounted = await mountOutliving(t)
    const writing = mounted.startSh('for i in $(seq 500); do echo "line $i" >> log; echo "$i"; done', {
      limitMs: 120_000,
    })
    await writing.until((text) => text.includes('\n20\n'))
    const pid = mounted.daemon() ?? mounted.pid
    signal(pid, 'SIGSTOP')
    await mounted.kill()
    signal(pid, 'SIGCONT') // where nothing is killed
    t.match(await writing.ended, { code: 0, stderr: '' })
    t.equal(await mounted.ok('tail -n 1 log; wc -l < log'), 'line 500\n500\n')
  },
)

void t.test(
  'after a kill the mount ends as ever: everything is uploaded, no process is left',
  { timeout },
  async (t) => {
    const mounted = await mountOutliving(t)
    await mounted.ok('mkdir d; for i in $(seq 20); do echo "text $i" > d/file-$i; done')
    await mounted.kill()
    await mounted.ok('rm d/file-1; mv d e')
    /* of uploads that were under way the next daemon does not know the end, for a minute at most */
    t.match(await mounted.command(['unmount', mounted.mountedAt], { limitMs: 120_000 }), { code: 0 })
    t.notOk(isMounted(mounted.mountedAt))
    t.ok(await eventually(() => mounted.processes().length === 0), mounted.processes().join('\n'))
    t.equal(fs.readdirSync(join(mounted.emulator.home, 'e')).length, 19)
    t.strictSame(fs.readdirSync(mounted.emulator.home), ['e'])
  },
)

void t.test(
  'SIGTERM to the daemon that came after a kill uploads, unmounts and ends',
  { timeout },
  async (t) => {
    const mounted = await mountOutliving(t)
    await mounted.ok('echo before > before')
    await mounted.kill()
    await mounted.ok('echo after > after')
    signal(mounted.daemon() ?? mounted.pid, 'SIGTERM')
    t.ok(await eventually(() => mounted.processes().length === 0), mounted.processes().join('\n'))
    t.notOk(isMounted(mounted.mountedAt))
    t.strictSame(fs.readdirSync(mounted.emulator.home).sort(), ['after', 'before'])
  },
)
