/**
 * A seeded program works on the mount, and the daemon is killed at random: while it mounts, takes up what was
 * left, answers, uploads. `CRASH_KILLS` (default 20) and `CRASH_SEED` choose another run.
 */
import t from 'tap'
import { eventually } from '../mount/programs.ts'
import { Random } from '../write-back/random.ts'
import { randomOperations } from './random-operations.ts'
import { MortalMount } from './rig.ts'

const kills = Number(process.env['CRASH_KILLS'] ?? 20)
const seed = Number(process.env['CRASH_SEED'] ?? 7)
const limitMs = 60_000 + kills * 10_000

void t.test(
  `killed ${kills} times at random (CRASH_SEED=${seed}), nothing is lost`,
  { timeout: limitMs },
  async (t) => {
    const random = new Random(seed)
    const mount = await MortalMount.start(t, { latencyMs: 20 })
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
    t.match(await mount.command(['sync', mount.directory]), { code: 0 })
    mount.compare(t, mount.served(), 'the service has what was answered, and nothing else')
  },
)
