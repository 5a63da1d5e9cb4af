/**
 * What a session could not be sent: it goes up later, or is kept where that cannot be. Layer: test.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { eventually } from '../mount/programs.ts'
import { describe } from '../mount/rig.ts'
import { agent, bytesOf, mountAgent, one, other } from './rig.ts'

void t.test(
  'what a killed daemon did not send goes up with the next mount, without anybody going in',
  async (t) => {
    const mounted = await mountAgent(t, { sessions: [one, other, 'third-session'] })
    const { emulator, top, mountedAt } = mounted
    await top(`ls ${other}`)
    const hold = emulator.hold({ verb: 'upload' })
    await top(`echo 1 >${one}/file; mkdir ${one}/sub; echo 2 >${one}/sub/more`)
    await hold.reached
    process.kill(mounted.pid, 'SIGKILL')
    hold.release()
    t.match(await mounted.command(['list']), { code: 0, stdout: new RegExp(`${agent}/ +\\S+ +3 +ended`) })
    emulator.resetCounts()
    await mounted.mountAgain()
    t.match(await mounted.command(['sync', mountedAt]), { code: 0 })
    t.ok(await eventually(() => bytesOf(mounted, one, 'sub/more') === '2\n'))
    t.equal(bytesOf(mounted, one, 'file'), '1\n')
    t.strictSame(
      (await mounted.status()).sessions?.map(({ session }) => session),
      [one],
      'the others rest',
    )
    t.equal(emulator.counts().getSession, 1)
  },
)

void t.test(
  'what a mount of the session by itself left goes up with one of all, and the other way round',
  async (t) => {
    const mounted = await mountAgent(t)
    const { emulator, command, mountPoint, mountedAt, top } = mounted
    t.match(await command(['unmount', mountedAt]), { code: 0 })
    const apart = mountPoint('apart')
    t.match(await command(['--restart', 'off', `${agent}/${one}`, apart]), { code: 0 })
    const { stdout } = await command(['status', '--json', apart])
    const hold = emulator.hold({ verb: 'upload' })
    await mounted.start('bash', ['-c', 'echo 1 >"$1/file"', 'bash', apart]).ended
    process.kill((JSON.parse(stdout) as { pid: number }).pid, 'SIGKILL')
    hold.release()
    const pid = await mounted.mountAgain()
    t.ok(await eventually(() => bytesOf(mounted, one, 'file') === '1\n'))

    const again = emulator.hold({ verb: 'upload' })
    await top(`echo 2 >${one}/file`)
    process.kill(pid, 'SIGKILL')
    again.release()
    const recovered = await command(['recover', `${agent}/`])
    t.equal(recovered.code, 0, describe(recovered))
    t.equal(bytesOf(mounted, one, 'file'), '2\n')
  },
)

void t.test('changes for a session that is deleted are kept and named, and recover has them', async (t) => {
  const mounted = await mountAgent(t, { args: ['--ttl', '200ms'] })
  const { emulator, top, command, status, mountedAt, root } = mounted
  await top(`ls ${one}; echo 1 >${other}/file`)
  const hold = emulator.hold({ verb: 'upload' })
  await top(`echo 'worth keeping' >${one}/unsent`)
  await hold.reached
  await emulator.deleteSession(agent, one)
  hold.release()
  t.ok(await eventually(async () => (await top('ls')) === `${other}\n`), 'it is not listed any more')
  t.match((await status()).paths, [{ path: `${one}/unsent` }], 'the status has what waits')
  t.ok(await eventually(async () => (await mounted.report(one))?.service?.state === 'paused'))
  await top(`echo 2 >>${other}/file; cat ${other}/file`)
  t.match(await command(['sync', mountedAt, other]), { code: 0 }, 'the others go on')
  const left = await command(['unmount', '--force', mountedAt])
  t.match(left, { code: 1, stderr: `${one}/unsent` })
  const kept = join(root, 'kept')
  const exported = await command(['recover', '--export', kept, `${agent}/${one}`])
  t.equal(exported.code, 0, describe(exported))
  t.equal(fs.readFileSync(join(kept, 'unsent'), 'utf8'), 'worth keeping\n')
})

void t.test('changes for a session that has expired are kept and named, and recover has them', async (t) => {
  const mounted = await mountAgent(t, { args: ['--ttl', '200ms'] })
  const { emulator, top, command, status, mountedAt, root } = mounted
  const hold = emulator.hold({ verb: 'upload' })
  await top(`echo 'worth keeping' >${one}/unsent`)
  await hold.reached
  emulator.expireSession(agent, one)
  hold.release()
  t.ok(await eventually(async () => (await top('ls')) === `${other}\n`))
  t.match((await status()).paths, [{ path: `${one}/unsent` }])
  t.match(await command(['unmount', '--force', mountedAt]), { code: 1, stderr: `${one}/unsent` })

  /* the next mount has them, too, although nobody can go in */
  await mounted.mountAgain()
  t.equal(await top('ls'), `${other}\n`)
  t.match(await command(['unmount', mountedAt]), { code: 1, stderr: `${one}/unsent` })
  t.match(await command(['unmount', '--force', mountedAt]), { code: 1, stderr: `${one}/unsent` })
  const kept = join(root, 'kept')
  const exported = await command(['recover', '--export', kept, `${agent}/`])
  t.equal(exported.code, 0, describe(exported))
  const files = fs.readdirSync(kept, { recursive: true, encoding: 'utf8' })
  t.ok(
    files.some((file) => file.endsWith('unsent')),
    files.join(),
  )
})
