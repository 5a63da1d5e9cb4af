/**
 * What a dead daemon left, without a mount: `mount-session recover`, its `--export` and `--discard`, and a
 * session that was made again under the same name.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { treeOf } from '../mount/rig.ts'
import type { Operation } from './operations.ts'
import { MortalMount } from './rig.ts'

const work: Operation[] = [
  { do: 'create', path: 'closed.txt' },
  { do: 'write', path: 'closed.txt', text: 'closed' },
  { do: 'close', path: 'closed.txt' },
  { do: 'mkdir', path: 'd' },
  { do: 'create', path: 'd/open.txt' },
  { do: 'write', path: 'd/open.txt', text: 'still open' },
  { do: 'unlink', path: 'gone.txt' },
]

/** A session whose daemon was killed before anything of this was on the service. */
async function killed(t: Test): Promise<MortalMount> {
  const mount = await MortalMount.start(t)
  mount.seed('gone.txt', 'to be removed')
  await mount.mount()
  // refused, nothing is under way that may come late
  const verbs = ['upload', 'delete', 'mkdir'] as const
  const clear = verbs.map((verb) => mount.emulator.fault({ verb, kind: 'status', status: 401 }))
  const program = mount.begin(work)
  await program.until((text) => text.includes('!'))
  await mount.kill()
  program.child.kill('SIGKILL')
  await program.ended
  mount.take(work, program)
  for (const remove of clear) remove()
  return mount
}

void t.test('recover finishes what was left, also when it is killed at it', async (t) => {
  const mount = await killed(t)
  for (const failpoint of ['recovery.before', 'recovery.after', 'journal.attempt.before']) {
    const died = await mount.command(['recover'], { MOUNT_SESSION_FAILPOINT: failpoint })
    t.equal(died.signal, 'SIGKILL', `killed at ${failpoint}`)
  }
  // what was under way when it was killed is looked at for a minute: it may take effect late
  const ended = await mount.command(['recover', mount.emulator.target], {}, 120_000)
  t.match(ended, { code: 0 })
  mount.compare(t, mount.served(), 'the service has all of it')
  t.match(await mount.command(['recover']), { code: 0, stdout: '' })
})

void t.test('a fixed token goes to no project but the one that is named beside it', async (t) => {
  const mount = await killed(t)
  mount.emulator.resetCounts()
  const elsewhere = { FOUNDRY_PROJECT_ENDPOINT: 'https://elsewhere.example/api/projects/p' }
  for (const env of [elsewhere, { FOUNDRY_PROJECT_ENDPOINT: undefined }]) {
    const passed = await mount.command(['recover'], env)
    t.match(passed, { code: 1, stdout: '', stderr: /passed over, MOUNT_SESSION_TOKEN is not for http:/ })
  }
  t.strictSame(mount.emulator.calls(), [])
  const named = await mount.command(['recover', '--endpoint', mount.emulator.endpoint], elsewhere)
  t.match(named, { code: 0 })
  mount.compare(t, mount.served(), 'the service has all of it')
})

void t.test('--export takes out what is left and changes nothing, --discard gives it up', async (t) => {
  const mount = await killed(t)
  const before = mount.served()
  const out = join(mount.work.root, 'out')
  t.match(await mount.command(['recover', '--export', out]), { code: 0 })
  t.same(treeOf(out), { 'closed.txt': 'closed', d: null, 'd/open.txt': 'still open' })
  t.match(await mount.command(['recover', '--export', out]), { code: 0 })
  t.equal(fs.readFileSync(join(out, 'closed.txt.1'), 'utf8'), 'closed', 'an export overwrites nothing')
  t.same(mount.served(), before)
  for (const elsewhere of [
    ['--endpoint', 'https://elsewhere.example/api/projects/p'],
    ['--isolation-key', 'another'],
    ['--user-identity', 'another'],
  ])
    t.match(await mount.command(['recover', '--discard', '--yes', ...elsewhere]), { code: 0, stdout: '' })
  t.match(await mount.command(['recover', '--discard']), {
    code: 1,
    stderr: /cannot be undone, .*: give --yes\n$/,
  })
  t.match(await mount.command(['recover', '--discard', '--yes']), { code: 0, stdout: / paths given up\n$/ })
  t.match(await mount.command(['recover']), { code: 0, stdout: '' })
  t.same(mount.served(), before)
  await mount.mount()
  t.same(await mount.shown(), before, 'nothing of it is shown any more')
})

for (const how of ['short', 'zeroed'] as const) {
  void t.test(
    `what another boot left ${how} is set aside: not shown, not uploaded, and can be taken out`,
    async (t) => {
      const mount = await killed(t)
      mount.damage(how)
      for (const failpoint of ['journal.setAside.before', 'journal.setAside.after'])
        t.not((await mount.startMount(failpoint).ended).code, 0, `killed at ${failpoint}`)
      await mount.mount()
      const whole = { d: null }
      t.same(await mount.shown(), whole, 'what needs no bytes stands')
      t.match(await mount.command(['sync', mount.directory]), { code: 0 })
      t.same(mount.served(), whole)
      await mount.kill()
      const named = await mount.command(['recover'])
      t.match(named, { code: 1, stderr: /set aside.*--export[^]*closed\.txt[^]*d\/open\.txt/ })
      const out = join(mount.work.root, 'out')
      t.match(await mount.command(['recover', '--export', out]), { code: 0 })
      t.same(Object.keys(treeOf(out)), ['closed.txt', 'd', 'd/open.txt'])
    },
  )
}

void t.test(
  'a session that was made again under the same name does not get what was meant for the old one',
  async (t) => {
    const mount = await killed(t)
    await mount.makeSessionAgain()
    const before = mount.served()
    await mount.mount()
    t.same(await mount.shown(), before)
    t.match(await mount.command(['unmount', mount.directory]), { code: 0 })
    t.same(mount.served(), before)
    const out = join(mount.work.root, 'out')
    await mount.command(['recover', '--export', out])
    t.equal(fs.readFileSync(join(out, 'closed.txt'), 'utf8'), 'closed')
  },
)

void t.test('what somebody else changed meanwhile keeps the name, ours is saved beside it', async (t) => {
  const mount = await MortalMount.start(t)
  mount.seed('both.txt', 'the base')
  await mount.mount()
  const clear = mount.emulator.fault({ verb: 'upload', kind: 'status', status: 401 })
  await mount.perform(t, [{ do: 'write', path: 'both.txt', at: 0, text: 'OUR' }])
  await mount.kill()
  fs.writeFileSync(join(mount.emulator.home, 'both.txt'), 'theirs, longer')
  clear()
  t.match(await mount.command(['recover']), { code: 0 })
  const served = Object.entries(mount.served())
  t.match(served, [
    ['both.txt', 'theirs, longer'],
    [/^both\.txt\.conflict-\d{8}T\d{6}$/, 'OUR base'],
  ])
})
