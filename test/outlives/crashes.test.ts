/**
 * A daemon that crashes, with words that mislead, and one that cannot be started any more. Layer: test.
 */
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { eventually } from '../mount/programs.ts'
import { isMounted } from '../mount/rig.ts'
import { fileTimeout, kills, mountOutliving, type Outliving, signal, timeout } from './rig.ts'

t.setTimeout(fileTimeout)

/** A daemon that fails with these words at SIGUSR2, and does not come up while a file `broken` is beside them. */
async function mountCrashing(t: Test, words: string): Promise<Outliving & { readonly broken: string }> {
  const directory = fs.mkdtempSync(join(tmpdir(), 'mount-session-crash-'))
  t.teardown(() => fs.rmSync(directory, { recursive: true }))
  const broken = join(directory, 'broken')
  const code = `process.on('SIGUSR2', () => { throw new Error(${JSON.stringify(words)}) })
if (process.env.MOUNT_SESSION_TAKEOVER && require('fs').existsSync(${JSON.stringify(broken)})) process.exit(9)`
  fs.writeFileSync(join(directory, 'crash.cjs'), code)
  const env = { NODE_OPTIONS: `--require=${join(directory, 'crash.cjs')}` }
  return { ...(await mountOutliving(t, { env })), broken }
}

const crash = (mounted: Outliving): number | undefined => {
  const pid = mounted.daemon()
  if (kills > 0 && pid !== undefined) signal(pid, 'SIGUSR2')
  return pid
}

for (const [what, words] of Object.entries({
  'that end it in another sense': 'the work is done',
  'that are many': 'long '.repeat(40_000),
}))
  void t.test(`it comes back after words ${what}, each time`, { timeout }, async (t) => {
    const mounted = await mountCrashing(t, words)
    for (let time = 0; time < 2; time++) {
      await mounted.served(crash(mounted))
      await mounted.ok(`echo ${time} >> file`)
    }
    t.equal(await mounted.ok('cat file'), '0\n1\n')
    if (kills > 0) t.match((await mounted.status()).restarts.at(-1)?.why, `it crashed: ${words.slice(0, 40)}`)
  })

void t.test('a program that is away for some seconds is started when it is back', { timeout }, async (t) => {
  const mounted = await mountCrashing(t, '')
  if (kills > 0) fs.writeFileSync(mounted.broken, '')
  const victim = await mounted.strike()
  await new Promise((resolve) => setTimeout(resolve, 4000))
  fs.rmSync(mounted.broken, { force: true })
  await mounted.served(victim)
  t.equal(await mounted.ok('echo here'), 'here\n')
})

void t.test('given up, the mount is unmounted, and nothing that lies over it', { timeout }, async (t) => {
  if (kills === 0) return
  for (const isCovered of [false, true]) {
    const mounted = await mountCrashing(t, '')
    const { directory } = mounted
    if (isCovered) {
      const covered = spawnSync('mount', ['-t', 'tmpfs', 'covering', directory])
      if (covered.status !== 0) {
        t.comment('only root can cover a mount')
        return
      }
      t.teardown(() => void spawnSync('umount', [directory]))
    }
    fs.writeFileSync(mounted.broken, '')
    await mounted.strike()
    t.ok(await eventually(() => mounted.processes().length === 0, 30_000), 'whoever kept it has ended')
    t.equal(isMounted(directory), isCovered)
    if (isCovered) t.match(spawnSync('stat', ['-f', '-c', '%T', directory]).stdout.toString(), 'tmpfs')
  }
})
