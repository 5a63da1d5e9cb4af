/**
 * Commands that are given while nobody serves the mount: they wait for the next daemon, and say what is so. Layer: test.
 */
import t from 'tap'
import { describe, isMounted } from '../mount/rig.ts'
import { eventually } from '../mount/programs.ts'
import { fileTimeout, kills, mountOutliving, timeout } from './rig.ts'

t.setTimeout(fileTimeout)

void t.test('status, list, sync and restart are answered by the next daemon', { timeout }, async (t) => {
  const mounted = await mountOutliving(t)
  const { directory } = mounted
  for (const args of [['status', directory], ['list'], ['sync', directory], ['restart', directory]]) {
    await mounted.strike()
    const asked = await mounted.command(args)
    t.equal(asked.code, 0, describe(asked))
    if (args[0] === 'list') t.match(asked.stdout, 'ready')
  }
})

for (const force of [[], ['--force']])
  void t.test(`unmount ${force.join()} unmounts`, { timeout }, async (t) => {
    const mounted = await mountOutliving(t)
    await mounted.ok('echo text > file')
    await mounted.sync()
    await mounted.strike()
    const asked = await mounted.command(['unmount', ...force, mounted.directory])
    t.equal(asked.code, 0, describe(asked))
    t.notOk(isMounted(mounted.mountedAt))
    t.ok(await eventually(() => mounted.processes().length === 0), 'nothing of it runs any more')
  })

void t.test('a mount whose keeper was killed as well is said to have ended', { timeout }, async (t) => {
  if (kills === 0) return
  const mounted = await mountOutliving(t)
  for (const line of mounted.processes()) mounted.end(Number(line.split(' ', 1)[0]))
  const asked = await mounted.command(['status', mounted.directory], { limitMs: 10_000 })
  t.match(asked, { code: 1, stderr: 'has ended' })
})
