/**
 * A seeded program works on the mount, and the daemon is killed at random: while it mounts, takes up what was
 * left, answers, uploads; over a service that works, and over one of which one call in twenty fails, ends
 * unclearly, or takes effect late. `CRASH_KILLS` (default 10) and `CRASH_SEED` choose another run.
 */
import t, { type Test } from 'tap'
import type { FaultRule } from '../../src/emulator/faults.ts'
import { eventually } from '../mount/programs.ts'
import { Random } from '../write-back/random.ts'
import { randomOperations } from './random-operations.ts'
import { MortalMount } from './rig.ts'

const kills = Number(process.env['CRASH_KILLS'] ?? 10)
const seed = Number(process.env['CRASH_SEED'] ?? 7)
const limitMs = 180_000 + kills * 10_000

/** One call in twenty of each kind meets one. */
const faults = (['list', 'download', 'upload', 'delete', 'mkdir'] as const).flatMap((verb): FaultRule[] => {
  const passing: FaultRule[] = [
    { verb, kind: 'status', status: 500, every: 61 },
    { verb, kind: 'reset', when: 'before-commit', every: 67 },
  ]
  if (verb === 'list' || verb === 'download') return passing
  return [
    ...passing,
    { verb, kind: 'reset', when: 'after-commit', every: 97 },
    { verb, kind: 'late-commit', afterMs: 700, every: 101 },
  ]
})

for (const [service, rules] of Object.entries({ 'a service that works': [], 'failing calls': faults }))
  void t.test(
    `killed ${kills} times at random over ${service} (CRASH_SEED=${seed}), nothing is lost`,
    { timeout: limitMs },
    (t) => killAtRandom(t, rules),
  )

async function killAtRandom(t: Test, rules: readonly FaultRule[]): Promise<void> {
  const random = new Random(seed)
  const mount = await MortalMount.start(t, { latencyMs: 20 })
  const clear = rules.map((rule) => mount.emulator.fault(rule))
  for (const path of ['a', 'x/a', 'x/b', 'y/c', 'x/z/d.txt']) mount.seed(path, `of the agent: ${path}`)
  for (let kill = 0; kill < kills; kill++) {
    if (random.chance(0.15)) {
      // in the midst of mounting and recovering
      const mounting = mount.startMount()
      const isLate = !(await eventually(() => mount.findDaemon() !== undefined, 5000))
      if (!isLate) await new Promise((resolve) => setTimeout(resolve, random.below(600)))
      await mount.kill()
      await mounting.ended
      continue
    }
    await mount.mount()
    const shown = await mount.shown()
    if (!shown) throw new Error('the daemon died by itself')
    mount.compare(t, shown, `what is shown after ${kill} kills`)
    const operations = randomOperations(mount.decided, random, 60)
    const program = mount.begin(operations)
    const moment = 1 + random.below(70)
    await program.until((text) => text.length >= moment || text.includes('!'))
    const syncing = random.chance(0.5) ? mount.command(['sync', mount.directory]) : undefined
    await new Promise((resolve) => setTimeout(resolve, random.below(random.chance(0.5) ? 30 : 500)))
    await mount.kill()
    await syncing
    program.child.kill('SIGKILL')
    await program.ended
    mount.take(operations, program)
  }
  await mount.mount()
  mount.compare(t, (await mount.shown()) ?? {}, 'what the last mount shows')
  for (const end of clear) end()
  t.match(await mount.command(['sync', mount.directory]), { code: 0 })
  // what has ended unclearly is looked at for a minute
  const isSure = async (): Promise<boolean> => (await mount.status()).paths.length === 0
  while (!(await isSure())) await new Promise((resolve) => setTimeout(resolve, 1000))
  mount.compare(t, mount.served(), 'the service has what was answered, and nothing else')
}
