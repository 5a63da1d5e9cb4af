/**
 * A session that cannot be gone into, because the service or another process of this machine has it otherwise: the
 * others go on. Layer: test.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { isMounted } from '../mount/rig.ts'
import { eventually } from '../mount/programs.ts'
import { agent, bytesOf, makeSession, mountAgent, one, other } from './rig.ts'

const theirs = 'session-of-others'

void t.test('a session of another identity cannot be gone into, and holds up no other', async (t) => {
  const mounted = await mountAgent(t)
  const { emulator, top, tryTop, logged, report } = mounted
  await makeSession(emulator, theirs, { 'x-ms-user-identity': 'somebody-else' })
  /* a listing that took long on a busy machine is good for longer than the TTL */
  const shown = await top(`until ls | grep -q ${theirs}; do sleep 0.2; done; ls -l`)
  t.match(shown, new RegExp(`drwx\\S+ .* ${theirs}\n`), 'nobody has asked for it yet')
  for (const command of [
    `cat ${theirs}/file`,
    `ls ${theirs}`,
    `touch ${theirs}/file`,
    `mkdir ${theirs}/made`,
  ])
    t.match(await tryTop(command), { code: /[12]/, stderr: 'Permission denied' }, command)
  t.match(await top('ls -l'), new RegExp(`d--------- .* ${theirs}\n`), 'it shows that nobody may go in')
  const refusals = logged('warn').filter((line) => line.includes(theirs))
  t.equal(refusals.length, 1, 'the log says it once')
  t.match(refusals[0], 'belongs to another identity')
  t.match(await report(theirs), { state: 'refused', reason: 'belongs to another identity' })

  await top(`echo 1 >${one}/file; echo 2 >${other}/file`)
  const all = await tryTop('ls -d * */*; ls -l * >/dev/null')
  t.match(all, { code: 2, stderr: `'${theirs}': Permission denied` })
  for (const line of [one, `${one}/file`, other, `${other}/file`, theirs]) t.match(all.stdout, `${line}\n`)
  t.equal(emulator.counts().getSession, 3, 'the service is asked once by each that goes in')
  t.match(await mounted.command(['sync', mounted.mountedAt]), { code: 0 })
  t.equal(bytesOf(mounted, other, 'file'), '2\n')
})

void t.test('a session that another mount of this machine has is busy until that is gone', async (t) => {
  const mounted = await mountAgent(t)
  const { top, tryTop, logged, report, command, mountPoint } = mounted
  const apart = mountPoint('apart')
  const mounting = await command(['--restart', 'off', `${agent}/${one}`, apart])
  t.equal(mounting.code, 0, mounting.stderr)
  t.teardown(() => command(['unmount', '--force', apart]))
  for (const script of [`ls ${one}`, `echo no >${one}/file`, `ls ${one}`])
    t.match(await tryTop(script), { code: /[12]/, stderr: 'Device or resource busy' }, script)
  t.match(await top('ls -l'), new RegExp(`drwx\\S+ .* ${one}\n`))
  const refusals = logged('warn').filter((line) => line.includes(one))
  t.equal(refusals.length, 1, 'the log says it once')
  t.match(refusals[0], `mounted at ${apart}`)
  t.match(await report(one), { state: 'refused', reason: `mounted at ${apart}` })
  await top(`echo on >${other}/file`)

  await mounted.start('bash', ['-c', 'echo theirs >"$1/file"', 'bash', apart]).ended
  t.match(await command(['unmount', apart]), { code: 0 })
  t.notOk(isMounted(apart))
  t.ok(await eventually(async () => (await tryTop(`ls ${one}`)).code === 0, 15_000), 'then it can be used')
  t.equal(await top(`cat ${one}/file; echo ours >>${one}/file; cat ${one}/file`), 'theirs\ntheirs\nours\n')
  t.equal(logged('warn').filter((line) => line.includes(one)).length, 1)
})

void t.test('a session that is open here cannot be mounted by itself, nor the agent twice', async (t) => {
  const mounted = await mountAgent(t)
  const { top, command, mountPoint, mountedAt } = mounted
  await top(`ls ${one}`)
  const apart = mountPoint('apart')
  t.match(await command([`${agent}/${one}`, apart]), { code: 1, stderr: `mounted at ${mountedAt}/${one}` })
  t.match(await command([`${agent}/`, apart]), { code: 1, stderr: `mounted at ${mountedAt}` })
  t.notOk(isMounted(apart))
  const mounting = await command(['--restart', 'off', `${agent}/${other}`, apart])
  t.equal(mounting.code, 0, 'one that nobody has gone into can be')
  t.match(await command(['unmount', apart]), { code: 0 })
})

void t.test(
  'a session that was refused can be gone into by its owner when the service has changed its mind',
  { skip: process.getuid?.() === 0 ? false : 'only root can be somebody else' },
  async (t) => {
    const mounted = await mountAgent(t, { args: ['-o', 'allow_other,uid=1000,gid=1000', '--ttl', '200ms'] })
    const { emulator, tryTop, home, root, report } = mounted
    fs.chmodSync(root, 0o755)
    fs.writeFileSync(join(home(one), 'file'), 'bytes\n')
    const asOwner = (script: string): ReturnType<typeof tryTop> =>
      tryTop(`setpriv --reuid 1000 --regid 1000 --clear-groups ${script}`)
    const refusing = emulator.fault({ verb: 'getSession', kind: 'status', status: 403 })
    t.match(await asOwner(`cat ${one}/file`), { code: 1, stderr: 'Permission denied' })
    t.match(await asOwner(`stat -c %a ${one}`), { stdout: '0\n' })
    t.match(await report(one), { state: 'refused' })
    refusing()
    /* the kernel goes by the mode, and would never ask again */
    const isOpen = async (): Promise<boolean> => (await asOwner(`cat ${one}/file`)).stdout === 'bytes\n'
    t.ok(await eventually(isOpen, 20_000))
    t.match(await asOwner(`stat -c %a ${one}`), { stdout: '755\n' })
  },
)
