/**
 * What several callers do at once to the same few names, drawn from a seed; and the least of it that still fails.
 * Layer: tests.
 *
 * Invariant: a plan is plain data; handles and what look-ups found are meant by numbers, and a call on one that
 * never came to be is left out.
 */
import { randomFrom, type Random } from '../logs/random.ts'
import { interleave, type Plan } from './interleaving.ts'
import type { Call, Where } from './linearizable.ts'

const names = ['a', 'b', 'p', 'q'] as const
const places: readonly Where[] = ['root', 'root', 'p', 'q']

export function drawPlan(seed: number): Plan {
  const random = randomFrom(seed)
  const pick = <T>(of: readonly T[]): T => of[random(of.length)] as T
  const tree: Record<string, string | null> = {}
  if (random(4) > 0) tree['p'] = null
  if (random(4) > 0) tree['q'] = null
  for (const path of ['a', 'b', 'p/a', 'p/b', 'q/a'])
    if (random(2) === 0 && (!path.includes('/') || path.slice(0, 1) in tree)) tree[path] = `old ${path} `
  const count = pick([2, 2, 3, 3, 4])
  const length = count === 4 ? 3 : pick([3, 4, 5])
  let last = 0
  const number = (): number => ++last
  const callers = Array.from({ length: count }, (_, by) => drawCalls(random, by, length, number))
  const sync = random(5) === 0
  return {
    tree,
    callers,
    service: { modified: pick(['zero', 'real']), mkdir: random(3) > 0, pageSize: pick([1, 2, 100]) },
    ttlMs: pick([0, 1000, 2000, 2000]),
    sync,
    /* with `sync` what is interrupted is the wait for the service alone */
    interrupts: !sync && random(3) === 0,
  }
}

function drawCalls(random: Random, by: number, length: number, number: () => number): Call[] {
  const pick = <T>(of: readonly T[]): T => of[random(of.length)] as T
  const calls: Call[] = []
  const handles: number[] = []
  const at = (): { in: Where; name: string } => ({ in: pick(places), name: pick(names) })
  while (calls.length < length) {
    const kind = random(20)
    const handle = handles.length > 0 && kind < 9 ? pick(handles) : undefined
    if (handle !== undefined) {
      const text = `<${by}.${calls.length}>`
      if (kind < 3) calls.push({ do: 'write', handle, at: pick(['end', 'end', 0, 4, 12]), text })
      else if (kind < 5) calls.push({ do: 'read', handle })
      else if (kind === 5) calls.push({ do: 'resize', handle, size: pick([0, 3, 20]) })
      else if (kind === 6) calls.push({ do: pick(['fstat', 'fsync']), handle })
      else {
        calls.push({ do: 'close', handle })
        handles.splice(handles.indexOf(handle), 1)
      }
    } else if (kind < 5) {
      const made = number()
      calls.push({ do: 'create', ...at(), handle: made, how: pick(['open', 'truncate', 'exclusive']) })
      handles.push(made)
    } else if (kind < 8) {
      const found = number()
      const opened = number()
      calls.push({ do: 'lookup', ...at(), as: found })
      calls.push({ do: 'open', found, handle: opened, truncate: random(4) === 0 })
      handles.push(opened)
    } else if (kind < 10) calls.push({ do: 'lookup', ...at(), as: number() })
    else if (kind < 15)
      calls.push({ do: 'rename', ...at(), to: pick(places), toName: pick(names), noReplace: random(5) === 0 })
    else if (kind < 17) calls.push({ do: 'unlink', ...at() })
    else if (kind === 17) calls.push({ do: 'mkdir', ...at() })
    else if (kind === 18) calls.push({ do: 'rmdir', ...at() })
    else calls.push({ do: 'list', in: pick(places) })
  }
  return calls
}

const shrinkMs = 45_000
const orders = 12

/** What fails of a seed's plan, shrunk; undefined: nothing does. */
export async function tryPlan(seed: number): Promise<string | undefined> {
  const plan = drawPlan(seed)
  const why = await interleave(plan, seed)
  if (why === undefined) return undefined
  const [least, order, told] = await shrink(plan, seed, why)
  return `seed ${seed}: ${told}\n${JSON.stringify(least)}, ${order}`
}

async function shrink(plan: Plan, seed: number, why: string): Promise<[Plan, number, string]> {
  let least: [Plan, number, string] = [plan, seed, why]
  const end = performance.now() + shrinkMs
  for (let again = true; again && performance.now() < end;) {
    again = false
    for (const smaller of smallerThan(least[0])) {
      const found = await failing(smaller, least[1], end)
      if (found === undefined) continue
      least = [smaller, ...found]
      again = true
      break
    }
  }
  return least
}

async function failing(plan: Plan, order: number, end: number): Promise<[number, string] | undefined> {
  for (let more = 0; more < orders && performance.now() < end; more++) {
    const why = await interleave(plan, order + more)
    if (why !== undefined) return [order + more, why]
  }
  return undefined
}

function* smallerThan(plan: Plan): Generator<Plan> {
  const { callers, tree } = plan
  for (const by of callers.keys()) yield { ...plan, callers: callers.filter((_, at) => at !== by) }
  for (const [by, calls] of callers.entries())
    for (const at of calls.keys())
      yield {
        ...plan,
        callers: callers.with(
          by,
          calls.filter((_, other) => other !== at),
        ),
      }
  for (const path of Object.keys(tree))
    yield {
      ...plan,
      tree: Object.fromEntries(
        Object.entries(tree).filter(([other]) => other !== path && !other.startsWith(`${path}/`)),
      ),
    }
  if (plan.interrupts) yield { ...plan, interrupts: false }
  if (plan.sync) yield { ...plan, sync: false }
  if (plan.service.pageSize < 100) yield { ...plan, service: { ...plan.service, pageSize: 100 } }
}
