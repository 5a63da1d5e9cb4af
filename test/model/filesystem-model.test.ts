/**
 * Random operations on the filesystem without FUSE, against a tree in memory. `MODEL_SECONDS=3600` goes on for
 * as long, with new seeds; `MODEL_SEED` begins with that one.
 */
import t from 'tap'
import { startFrontEnd } from './front-end-subject.ts'
import { programs, type Weights } from './operations.ts'
import { explore } from './run.ts'

const seconds = Number(process.env['MODEL_SECONDS'] ?? 0)
const firstSeed = Number(process.env['MODEL_SEED'] ?? 1)
const operationsPerSeed = 250

const alone: Weights = { ...programs, pass: 10, forget: 3, barrier: 1, crash: 1, remount: 1 }
const troubled: Weights = { ...alone, fault: 5, refuse: 4, hold: 4, letGo: 4, crash: 2 }
const accompanied: Weights = { ...alone, foreignWrite: 4, foreignRemove: 2, foreignMkdir: 2 }

const runs = [
  { name: 'alone with a quiet service', weights: alone, seeds: 14 },
  { name: 'with a failing and slow service, and daemons that end at any time', weights: troubled, seeds: 14 },
  { name: 'with an agent that changes the same tree', weights: accompanied, seeds: 14 },
] as const

for (const { name, weights, seeds } of runs) {
  void t.test(`${name}, it behaves as a local directory`, { timeout: (seconds + 120) * 1000 }, async (t) => {
    const end = performance.now() + (seconds / runs.length) * 1000
    let steps = 0
    for (let at = 0; at < seeds || performance.now() < end; at++) {
      const seed = firstSeed + at
      const modified = seed % 2 === 0 ? 'zero' : 'real'
      const start = (): ReturnType<typeof startFrontEnd> => startFrontEnd({ modified, mkdir: seed % 3 !== 0 })
      const failure = await explore(start, seed, weights, (count) => count >= operationsPerSeed)
      steps += operationsPerSeed
      if (failure !== undefined) return t.fail(failure)
    }
    t.pass(`${steps} operations, seeds from ${firstSeed} on`)
  })
}
