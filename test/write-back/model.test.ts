import t from 'tap'
import { ModelRun, type ModelOptions } from './model.ts'

const flavours: Readonly<Record<string, ModelOptions>> = {
  'a quiet service': {
    mkdir: true,
    faults: false,
    lateCommits: false,
    crashes: false,
    journalFailures: false,
  },
  'a service without a call for directories': {
    mkdir: false,
    faults: true,
    lateCommits: false,
    crashes: false,
    journalFailures: false,
  },
  'listings that are behind': {
    mkdir: true,
    faults: false,
    lateCommits: false,
    crashes: false,
    journalFailures: false,
    behind: true,
  },
  crashes: { mkdir: true, faults: true, lateCommits: false, crashes: true, journalFailures: false },
  'late commits': { mkdir: true, faults: true, lateCommits: true, crashes: false, journalFailures: false },
  'a journal that cannot always be written': {
    mkdir: true,
    faults: true,
    lateCommits: false,
    crashes: true,
    journalFailures: true,
  },
  'everything at once': {
    mkdir: false,
    faults: true,
    lateCommits: true,
    crashes: true,
    journalFailures: true,
  },
}

const runs = Number(process.env['MODEL_RUNS'] ?? 4)
const steps = Number(process.env['MODEL_STEPS'] ?? 150)
const only = process.env['MODEL_SEED']

for (const [name, options] of Object.entries(flavours)) {
  void t.test(`what is done at random under ${name} is what the service has in the end`, async (t) => {
    const seeds = only === undefined ? Array.from({ length: runs }, (_, run) => 1000 + run) : [Number(only)]
    for (const seed of seeds) {
      const run = new ModelRun(seed, options)
      try {
        await run.run(steps)
        t.pass(`seed ${seed}`)
      } catch (error) {
        t.fail(`MODEL_SEED=${seed}: ${(error as Error).message}`, {
          stack: (error as Error).stack ?? '',
          trace: run.trace.slice(-60),
        })
      }
    }
  })
}
