/**
 * Several callers of the filesystem at once, without FUSE: what they are told must fit one order of their calls.
 * `MODEL_SECONDS=3600` goes on for as long, with new seeds; `MODEL_SEED` begins with that one.
 */
import t from 'tap'
import { tryPlan } from './plans.ts'

const seconds = Number(process.env['MODEL_SECONDS'] ?? 0)
const firstSeed = Number(process.env['MODEL_SEED'] ?? 1)
const plans = 60

void t.test(
  'calls that overlap behave as if made one after the other',
  { timeout: (seconds + 120) * 1000 },
  async (t) => {
    const end = performance.now() + seconds * 1000
    let at = 0
    for (; at < plans || performance.now() < end; at++) {
      const failure = await tryPlan(firstSeed + at)
      if (failure !== undefined) return t.fail(failure)
    }
    t.pass(`${at} plans, seeds from ${firstSeed} on`)
  },
)
