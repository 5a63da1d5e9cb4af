/**
 * What the commands say of a mount of all sessions, and how they use it. Layer: test.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { StatusReport } from '../../src/control/protocol.ts'
import { describe, mountLine } from '../mount/rig.ts'
import { agent, bytesOf, mountAgent, one, other } from './rig.ts'

void t.test(
  'status tells the sessions that programs have gone into, .status at the top the same',
  async (t) => {
    const mounted = await mountAgent(t)
    const { emulator, top, command, mountedAt, status } = mounted
    t.match(await status(), { agent, sessions: [], paths: [], directory: mountedAt })
    t.equal((await status()).session, undefined)
    const hold = emulator.hold({ verb: 'upload' })
    await top(`echo 123 >${one}/file; ls ${other}`)
    await hold.reached
    const report = await status()
    t.match(report.sessions, [
      { session: one, state: 'open', paths: 1, service: { state: 'ready' } },
      { session: other, state: 'open', paths: 0 },
    ])
    t.match(report.paths, [{ path: `${one}/file`, bytes: 4 }])
    const shown = JSON.parse(await top('cat .status')) as StatusReport
    t.match(shown, {
      agent,
      sessions: [{ session: one }, { session: other }],
      paths: [{ path: `${one}/file` }],
    })
    const within = JSON.parse(await top(`cat ${one}/.status`)) as StatusReport
    t.match(within, { agent, session: one, paths: [{ path: 'file' }] })
    t.match(await command(['status', mountedAt]), { code: 0, stdout: one })
    t.match(await command(['status', join(mountedAt, one)]), { code: 0, stdout: one })
    hold.release()
    t.match(await command(['sync', mountedAt]), { code: 0 })
    t.strictSame((await status()).paths, [])
    t.match(await top('ls -A'), `${one}\n${other}\n`, 'it is not listed')
  },
)

void t.test('list names the mount by its agent', async (t) => {
  const { emulator, top, command, mountedAt } = await mountAgent(t)
  t.match(mountLine(mountedAt)?.join(' '), `${agent}/ `)
  const hold = emulator.hold({ verb: 'upload' })
  await top(`echo 1 >${one}/file; echo 2 >${other}/file`)
  const { stdout } = await command(['list', '--json'])
  t.match(JSON.parse(stdout), [{ agent, session: null, directory: mountedAt, state: 'ready', pending: 2 }])
  t.match((await command(['list'])).stdout, new RegExp(`${agent}/ +\\S+mnt +2 `))
  hold.release()
})

void t.test('ls, get, put and rm of a session work through its directory in the mount', async (t) => {
  const mounted = await mountAgent(t, { args: ['--ttl', '60s'] })
  const { emulator, top, command, root, home } = mounted
  fs.writeFileSync(join(home(one), 'theirs'), 'of the service\n')
  await top(`ls ${one}; cat ${one}/theirs`)
  const hold = emulator.hold({ verb: 'upload', path: 'unsent' })
  await top(`echo unsent >${one}/unsent`)
  await hold.reached
  emulator.resetCounts()
  t.match(await command(['ls', `${agent}/${one}`]), { code: 0, stdout: 'theirs\nunsent\n' })
  t.match(await command(['get', `${agent}/${one}:unsent`, '-']), { code: 0, stdout: 'unsent\n' })
  t.match(await command(['get', `${agent}/${one}:theirs`, '-']), { code: 0, stdout: 'of the service\n' })
  t.equal(emulator.counts().list, 0, 'the mount knows what is there')
  t.equal(emulator.counts().download, 0)
  t.equal(emulator.counts().getSession, 0)
  hold.release()

  fs.writeFileSync(join(root, 'local'), 'put\n')
  const put = await command(['put', join(root, 'local'), `${agent}/${one}:sub/put`])
  t.equal(put.code, 0, describe(put))
  t.equal(bytesOf(mounted, one, 'sub/put'), 'put\n', 'it is on the service when the command returns')
  t.equal(await top(`cat ${one}/sub/put`), 'put\n')
  t.match(await command(['rm', '--yes', `${agent}/${one}:sub/put`]), { code: 0 })
  t.equal(bytesOf(mounted, one, 'sub/put'), undefined)
  t.match(await top(`ls ${one}/sub`), '')
})

void t.test('a session that nobody has gone into is used through the mount as well', async (t) => {
  const mounted = await mountAgent(t)
  const { command, home, root, report, emulator, top } = mounted
  fs.writeFileSync(join(home(other), 'theirs'), 'of the service\n')
  t.equal(await report(other), undefined)
  t.match(await command(['ls', `${agent}/${other}`]), { code: 0, stdout: 'theirs\n' })
  t.match(await report(other), { state: 'open' })
  t.equal(emulator.counts().list, 1)
  fs.writeFileSync(join(root, 'local'), 'put\n')
  t.match(await command(['put', join(root, 'local'), `${agent}/${other}:put`]), { code: 0 })
  t.equal(bytesOf(mounted, other, 'put'), 'put\n')
  t.equal(await top(`cat ${other}/put`), 'put\n')
})

void t.test('a session that is not of the agent is told as the service tells it', async (t) => {
  const { command } = await mountAgent(t)
  const asked = await command(['ls', `${agent}/session-none-0001`])
  t.match(asked, { code: 1, stderr: /no such agent or session/ })
})

void t.test('a session directory is no mount of its own: unmount of it says so', async (t) => {
  const { command, mountedAt, top } = await mountAgent(t)
  await top(`ls ${one}`)
  t.match(await command(['unmount', join(mountedAt, one)]), { code: 1, stderr: `in the mount of ${agent}/` })
  t.match(await command(['unmount', mountedAt]), { code: 0 })
})

void t.test('the console of each session is in its own .logs', async (t) => {
  const { emulator, top } = await mountAgent(t)
  emulator.appendLog(agent, one, 'said by the one')
  emulator.appendLog(agent, other, 'said by the other')
  t.match(await top(`timeout 10 grep -m 1 said <(tail -n +1 -f ${one}/.logs)`), 'said by the one')
  t.match(await top(`timeout 10 grep -m 1 said <(tail -n +1 -f ${other}/.logs)`), 'said by the other')
})
