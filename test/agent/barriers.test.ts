/**
 * What waits for the service: one session's barrier is not another's. Layer: test.
 */
import { join } from 'node:path'
import t from 'tap'
import { describe, isMounted } from '../mount/rig.ts'
import { bytesOf, mountAgent, one, other } from './rig.ts'

void t.test('sync and fsync in one session do not wait for the uploads of another', async (t) => {
  const mounted = await mountAgent(t)
  const { emulator, top, command, mountedAt } = mounted
  const hold = emulator.hold({ verb: 'upload', path: /^held/ })
  await top(`echo 1 >${one}/held; echo 2 >${other}/file`)
  await hold.reached
  t.match(await command(['sync', mountedAt, other], { limitMs: 10_000 }), { code: 0 })
  t.equal(bytesOf(mounted, other, 'file'), '2\n')
  await top(`echo 3 >${other}/synced; sync ${other}/synced; sync ${other}`, { limitMs: 10_000 })
  t.equal(bytesOf(mounted, other, 'synced'), '3\n', 'fsync is a barrier of its own file and session')
  t.match(await command(['sync', join(mountedAt, other)], { limitMs: 10_000 }), { code: 0 })
  t.match(await mounted.report(one), { state: 'open', paths: 1 })
  t.match(await mounted.report(other), { state: 'open', paths: 0 })

  const whole = mounted.startCommand(['sync', mountedAt])
  const within = mounted.startCommand(['sync', mountedAt, `${one}/held`])
  t.equal(await isOverAfter(1000, whole.ended), false, 'sync DIR waits for all')
  t.equal(await isOverAfter(0, within.ended), false)
  t.equal(bytesOf(mounted, one, 'held'), undefined)
  hold.release()
  t.match(await whole.ended, { code: 0 })
  t.match(await within.ended, { code: 0 })
  t.equal(bytesOf(mounted, one, 'held'), '1\n')
})

void t.test('an upload that one session refuses fails its own barrier alone', async (t) => {
  const mounted = await mountAgent(t)
  const { emulator, top, command, mountedAt } = mounted
  emulator.fault({ verb: 'upload', path: 'refused', kind: 'status', status: 400 })
  await top(`echo 1 >${one}/refused; echo 2 >${other}/file`)
  t.match(await command(['sync', mountedAt, other]), { code: 0 })
  t.match(await command(['sync', mountedAt]), { code: 1, stderr: 'refused' })
  const report = await mounted.status()
  t.match(report.paths, [{ path: `${one}/refused`, state: 'parked' }])
  t.match(await command(['status', mountedAt, '--discard', `${one}/refused`, '--yes']), {
    code: 0,
    stderr: 'gave up 1 change\n',
  })
  t.match(await command(['sync', mountedAt]), { code: 0 })
  t.strictSame((await mounted.status()).paths, [])
})

void t.test('unmount waits until every session has everything', async (t) => {
  const mounted = await mountAgent(t)
  const { emulator, top, command, mountedAt } = mounted
  const hold = emulator.hold({ verb: 'upload' })
  await top(`echo 1 >${one}/file; echo 2 >${other}/file`)
  await hold.reached
  const unmounting = mounted.startCommand(['unmount', mountedAt])
  t.equal(await isOverAfter(1000, unmounting.ended), false)
  t.ok(isMounted(mountedAt))
  hold.release()
  const ended = await unmounting.ended
  t.equal(ended.code, 0, describe(ended))
  t.notOk(isMounted(mountedAt))
  t.strictSame([bytesOf(mounted, one, 'file'), bytesOf(mounted, other, 'file')], ['1\n', '2\n'])
  t.match(await command(['status', mountedAt]), { code: 1 })
})

void t.test(
  'unmount names what is left as SESSION/path, and --force keeps it for the next mount',
  async (t) => {
    const mounted = await mountAgent(t)
    const { emulator, top, command, mountedAt } = mounted
    const refusing = emulator.fault({ verb: 'upload', path: /refused$/, kind: 'status', status: 400 })
    await top(`mkdir ${one}/sub; echo 1 >${one}/sub/refused; echo 2 >${other}/file`)
    const left = await command(['unmount', mountedAt])
    t.equal(left.code, 1)
    t.match(left.stderr, `${one}/sub/refused`)
    t.notMatch(left.stderr, other)
    t.ok(isMounted(mountedAt))
    t.equal(bytesOf(mounted, other, 'file'), '2\n')
    const forced = await command(['unmount', '--force', mountedAt])
    t.match(forced, { code: 1, stderr: `${one}/sub/refused` })
    t.notOk(isMounted(mountedAt))
    refusing()
    await mounted.mountAgain()
    t.match(await command(['sync', mountedAt]), { code: 0 })
    t.equal(bytesOf(mounted, one, 'sub/refused'), '1\n')
  },
)

async function isOverAfter(ms: number, ended: Promise<unknown>): Promise<boolean> {
  const passed = new Promise<false>((resolve) => setTimeout(() => resolve(false), ms))
  return Promise.race([ended.then(() => true), passed])
}
