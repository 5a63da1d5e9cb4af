/**
 * The shell that keeps a mount while no daemon serves it: when it gives up, what its own end means, and that nothing
 * is left of it when the mount ends, however it does.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { eventually } from '../mount/programs.ts'
import { isMounted, isRunning } from '../mount/rig.ts'
import { fileTimeout, kills, mountOutliving, type Outliving, signal, timeout } from './rig.ts'
import { damageState } from './state-file.ts'

t.setTimeout(fileTimeout)
/* each waits for the other side most of the time */
t.jobs = 2

const needsKills = { timeout, ...(kills === 0 ? { skip: 'nothing is to be killed' } : {}) }

const hasEnded = async (mounted: Outliving): Promise<boolean> =>
  eventually(() => mounted.processes().length === 0 && !isMounted(mounted.mountedAt))

function keeper(mounted: Outliving): number {
  const found = mounted.processes().find((words) => words.includes('mount-session-keeper'))
  if (found === undefined) throw new Error(`no keeper: ${mounted.processes().join('\n')}`)
  return parseInt(found)
}

void t.test(
  'a state that nobody can read: it gives up, and what waits is answered',
  needsKills,
  async (t) => {
    const mounted = await mountOutliving(t)
    await mounted.ok('echo text > file')
    damageState(mounted, (header) => ({ ...header, directory: 5 }))
    /* asks each time */
    const waiting = mounted.startSh('echo begun; while stat -f . > /dev/null; do :; done')
    await waiting.until((text) => text.includes('begun'))
    const victim = await mounted.strike()
    t.ok(await hasEnded(mounted), mounted.processes().join('\n'))
    t.match(await waiting.ended, { code: 0, stderr: /not connected|abort/ })
    const errors = mounted.logged('error')
    t.match(errors.at(-1), 'the daemon ended again and again in short succession: the mount is given up')
    t.match(errors[0], 'kernel-state: is damaged')
    t.not(await mounted.mountAgain(), victim)
    t.equal(await mounted.ok('cat file'), 'text\n', 'the next mount has what was written')
  },
)

void t.test('it was killed: the mount goes on, and ends with the daemon', needsKills, async (t) => {
  const mounted = await mountOutliving(t)
  signal(keeper(mounted), 'SIGKILL')
  t.equal(await mounted.ok('echo text > file; cat file'), 'text\n')
  t.equal((await mounted.status()).pid, mounted.pid)
  const victim = await mounted.strike()
  t.ok(await eventually(() => mounted.processes().length === 0), mounted.processes().join('\n'))
  t.match(await mounted.sh('cat file'), { code: 1, stderr: /not connected|abort/ })
  t.not(await mounted.mountAgain(), victim)
  t.equal(await mounted.ok('cat file'), 'text\n')
})

void t.test('it was killed: the mount ends as ever', async (t) => {
  const mounted = await mountOutliving(t)
  const pid = keeper(mounted)
  signal(pid, 'SIGKILL')
  await eventually(() => !isRunning(pid))
  await mounted.ok('echo text > file')
  t.match(await mounted.command(['unmount', mounted.directory]), { code: 0, stderr: '' })
  t.ok(await hasEnded(mounted), mounted.processes().join('\n'))
  t.strictSame(fs.readdirSync(mounted.emulator.home), ['file'])
})

/* of a mount with something to be uploaded; without a kill the tests of mounts look at it */
const ways: Readonly<Record<string, (mounted: Outliving) => Promise<unknown>>> = {
  'umount(8)': (mounted) => mounted.start('umount', [mounted.directory]).ended,
  'fusermount3 -u': (mounted) => mounted.start('fusermount3', ['-u', mounted.directory]).ended,
  'umount -l': (mounted) => mounted.start('umount', ['-l', mounted.directory]).ended,
  'mount-session unmount': (mounted) => mounted.command(['unmount', mounted.directory]),
  'mount-session unmount --force': (mounted) => mounted.command(['unmount', '--force', mounted.directory]),
  'SIGTERM twice': async (mounted) => {
    const hold = mounted.emulator.hold({ verb: 'upload' })
    await mounted.ok('echo text > held')
    await hold.reached
    const pid = mounted.daemon() ?? 0
    signal(pid, 'SIGTERM')
    await eventually(() => mounted.logged('info').some((line) => line.includes('a second signal stops')))
    signal(pid, 'SIGTERM')
    await eventually(() => !isRunning(pid))
    hold.release()
  },
}

for (const [name, end] of Object.entries(ways))
  void t.test(`nothing is left after ${name}`, { timeout }, async (t) => {
    const mounted = await mountOutliving(t)
    await mounted.kill()
    await mounted.ok('echo text > file')
    await end(mounted)
    t.ok(await hasEnded(mounted), mounted.processes().join('\n'))
  })

void t.test('with auto_unmount a kill unmounts nothing, and the end of both does', needsKills, async (t) => {
  const mounted = await mountOutliving(t, { args: ['-o', 'auto_unmount'] })
  await mounted.ok('echo text > file')
  await mounted.kill()
  t.equal(await mounted.ok('cat file'), 'text\n')
  await mounted.kill()
  t.equal(await mounted.ok('cat file'), 'text\n')
  signal(keeper(mounted), 'SIGKILL')
  t.equal(await mounted.ok('cat file'), 'text\n')
  await mounted.strike()
  t.ok(await hasEnded(mounted), mounted.processes().join('\n'))
})

void t.test('with auto_unmount an ordinary unmount leaves nothing after a kill', { timeout }, async (t) => {
  const mounted = await mountOutliving(t, { args: ['-o', 'auto_unmount'] })
  await mounted.kill()
  t.match(await mounted.command(['unmount', mounted.directory]), { code: 0, stderr: '' })
  t.ok(await hasEnded(mounted), mounted.processes().join('\n'))
})

for (const [command, stays] of [
  ['unmount', false],
  ['sync', true],
  ['status', true],
] as const)
  void t.test(`${command} while nobody serves waits for who does`, needsKills, async (t) => {
    const mounted = await mountOutliving(t)
    await mounted.ok('echo text > file')
    await mounted.strike()
    t.match(await mounted.command([command, mounted.directory]), { code: 0, stderr: '' })
    t.equal(isMounted(mounted.mountedAt), stays)
    if (command !== 'status') t.equal(fs.readFileSync(join(mounted.emulator.home, 'file'), 'utf8'), 'text\n')
  })
