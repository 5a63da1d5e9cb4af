import t from 'tap'
import { descriptorBudget, withinBudget } from '../../src/session/descriptor-budget.ts'

void t.test('calls at once and open files follow the limit of descriptors', (t) => {
  t.same(descriptorBudget(Infinity), { calls: Infinity, openFiles: 512 })
  t.same(descriptorBudget(1024), { calls: 65, openFiles: 196 })
  t.same(descriptorBudget(256), { calls: 14, openFiles: 43 })
  t.same(descriptorBudget(64), { calls: 1, openFiles: 4 })
  t.same(descriptorBudget(10), { calls: 1, openFiles: 4 })
  t.same(descriptorBudget(1024, 21), { calls: 52, openFiles: 156 }, 'with 21 sessions')
  t.end()
})

void t.test('the parts of the budget fit into the limit', (t) => {
  const ownAtRest = 36
  for (const more of [0, 1, 20]) {
    for (let limit = 56 + 10 * more; limit < 5000; limit++) {
      const { calls, openFiles } = descriptorBudget(limit, 1 + more)
      const used = ownAtRest + 10 * more + 8 * calls + openFiles
      if (used > limit) t.fail(`${limit}, ${more} sessions more: ${used} of them`)
    }
  }
  t.end()
})

void t.test('an option never becomes more than it was', (t) => {
  t.same(withinBudget({ downloads: 2, uploads: 100, ttlMs: 1 }, { calls: 7, openFiles: 4 }), {
    downloads: 2,
    uploads: 7,
    ttlMs: 1,
  })
  t.ok(descriptorBudget().calls >= 1, 'of this process')
  t.end()
})
