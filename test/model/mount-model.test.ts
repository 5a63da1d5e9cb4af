/**
 * Random operations on a real mount, through the kernel, against a tree in memory. `MODEL_SECONDS=3600` goes on
 * for as long, with new seeds; `MODEL_SEED` begins with that one.
 */
import t from 'tap'
import { startMount, startOutliving } from './mount-subject.ts'
import { programs, type Weights } from './operations.ts'
import { explore } from './run.ts'

const seconds = Number(process.env['MODEL_SECONDS'] ?? 0)
const firstSeed = Number(process.env['MODEL_SEED'] ?? 1001)

const isRoot = process.getuid?.() === 0
const alone: Weights = { ...programs, ...(isRoot ? {} : { chown: 0, fchown: 0 }), pass: 2, barrier: 1 }
const troubled: Weights = { ...alone, fault: 3 }
const accompanied: Weights = { ...alone, foreignWrite: 1, foreignRemove: 1, foreignMkdir: 1 }

const runs = [
  { name: 'alone with a quiet service', weights: alone, seeds: 12, length: 250 },
  { name: 'unmounted and mounted again', weights: { ...alone, remount: 1 }, seeds: 1, length: 150 },
  { name: 'with connections that break', weights: troubled, seeds: 2, length: 150 },
  {
    name: 'with daemons that are killed',
    weights: { ...alone, crash: 1 },
    seeds: 1,
    length: 150,
  },
  { name: 'that outlives its daemons', weights: { ...alone, kill: 2 }, seeds: 2, length: 200 },
  { name: 'with an agent that changes the same tree', weights: accompanied, seeds: 3, length: 200 },
] as const

const start = await startMount(t)
const startKilled = await startOutliving(t)

for (const { name, weights, seeds, length } of runs) {
  await t.test(
    `${name}, a mount behaves as a local directory`,
    { timeout: (seconds + 200) * 1000 },
    async (t) => {
      const end = performance.now() + (seconds / runs.length) * 1000
      let steps = 0
      for (let at = 0; at < seeds || performance.now() < end; at++) {
        const seed = firstSeed + at
        const failure = await explore(
          'kill' in weights ? startKilled : start,
          seed,
          weights,
          (count) => count >= length,
          seed % 4 === 0,
        )
        steps += length
        if (failure !== undefined) return t.fail(failure)
      }
      t.pass(`${steps} operations, seeds from ${firstSeed} on`)
    },
  )
}
