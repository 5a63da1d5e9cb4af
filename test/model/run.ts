/**
 * A sequence of operations on a subject and on the reference tree, and the smallest sequence that still fails.
 * Layer: tests.
 *
 * Invariant: a failure names its seed and prints a sequence that fails again when it is handed to `replay`.
 */
import { Generator, type Operation, scratchPattern, type Weights } from './operations.ts'
import { agrees, timeIn } from './entries.ts'
import { Reference } from './reference.ts'

/** Something that should behave as a local directory does. */
export interface Subject {
  readonly maxFileBytes: number
  /** What a program would see: an errno by name, or as `Reference` says it. */
  apply(operation: Operation): Promise<string>
  /** By path: what `Reference.tree` says of it, and its inode number. */
  tree(): Promise<ReadonlyMap<string, { readonly shown: string; readonly inode: number }>>
  /** After everything is on the service: what it holds, as `Reference.remoteTree` says it. */
  remoteTree(): Promise<string[]>
  close(): Promise<void>
  /** Whether a file that the agent replaced by one of the same size has been seen when `apply` answers. */
  readonly seesSameSize?: boolean
}

export interface Failure {
  readonly step: number
  readonly operation: Operation
  readonly expected: string
  readonly found: string
}

export const isScratch = (name: string): boolean =>
  name.startsWith(scratchPattern.slice(0, 1)) && name.endsWith(scratchPattern.slice(2))

/** Runs the operations; undefined: all as on the reference. */
export async function replay(
  start: () => Promise<Subject>,
  operations: readonly Operation[] | ((reference: Reference) => Operation | undefined),
  done: Operation[] = [],
): Promise<Failure | undefined> {
  const comparison = new Comparison(await start())
  const given = typeof operations === 'function' ? undefined : operations.values()
  try {
    for (;;) {
      const operation =
        typeof operations === 'function' ? operations(comparison.reference) : given?.next().value
      if (operation === undefined) return undefined
      done.push(operation)
      const failure = await comparison.step(operation)
      if (failure !== undefined) return { ...failure, step: done.length, operation }
    }
  } finally {
    await comparison.close()
  }
}

class Comparison {
  readonly reference: Reference
  readonly #subject: Subject
  #inodes = new WeakMap<object, number>()
  /** What time was shown of which version of an entry. */
  readonly #times = new WeakMap<object, { readonly version: number; readonly time: string | undefined }>()

  constructor(subject: Subject) {
    this.#subject = subject
    this.reference = new Reference(subject.maxFileBytes, subject.seesSameSize ?? false)
  }

  close(): Promise<void> {
    return this.#subject.close()
  }

  async step(operation: Operation): Promise<Pick<Failure, 'expected' | 'found'> | undefined> {
    try {
      return await this.#compare(operation)
    } catch (error) {
      const found = error instanceof Error ? (error.stack ?? error.message) : String(error)
      return { expected: 'an answer', found }
    }
  }

  async #compare(operation: Operation): Promise<Pick<Failure, 'expected' | 'found'> | undefined> {
    const isForeign = operation.do.startsWith('foreign')
    if (!this.reference.admits(operation, isScratch)) return undefined
    if (isForeign || operation.do === 'barrier') {
      const failure = await this.#compareRemote()
      if (failure !== undefined || operation.do === 'barrier') return failure
    }
    if (operation.do === 'check') return this.#compareTree()
    const found = await this.#subject.apply(operation)
    const expected = this.reference.apply(operation)
    if (operation.do === 'crash' || operation.do === 'remount') {
      this.reference.crash()
      this.#inodes = new WeakMap()
    }
    return agrees(expected, found) ? undefined : { expected, found }
  }

  async #compareRemote(): Promise<Pick<Failure, 'expected' | 'found'> | undefined> {
    const found = (await this.#subject.remoteTree()).join('\n')
    const expected = this.reference.remoteTree(isScratch).join('\n')
    return expected === found ? undefined : { expected, found }
  }

  async #compareTree(): Promise<Pick<Failure, 'expected' | 'found'> | undefined> {
    const found = await this.#subject.tree()
    const expected = new Map([...this.reference.tree()].map(([path, shown]) => [path, shown]))
    for (const path of new Set([...expected.keys(), ...found.keys()])) {
      const [there, should] = [found.get(path), expected.get(path)]
      if (there === undefined || should === undefined || !agrees(should, there.shown))
        return { expected: `${path}: ${should ?? 'nothing'}`, found: `${path}: ${there?.shown ?? 'nothing'}` }
    }
    for (const [path, , object] of this.reference.tree()) {
      const inode = found.get(path)?.inode ?? 0
      const before = this.#inodes.get(object) ?? inode
      const time = timeIn(found.get(path)?.shown ?? '')
      const last = this.#times.get(object)
      if (last?.version === object.version && last.time !== time)
        return { expected: `${path}: still modified at ${last.time}`, found: String(time) }
      this.#times.set(object, { version: object.version, time })
      if (before !== inode) return { expected: `${path}: inode ${before}`, found: `inode ${inode}` }
      this.#inodes.set(object, inode)
    }
    const numbers = [...found.values()].map(({ inode }) => inode)
    if (new Set(numbers).size < numbers.length)
      return { expected: 'an inode number for each', found: numbers.join(' ') }
    return undefined
  }
}

/** Draws operations until one fails or `enough` says so; a failure is shrunk. */
export async function explore(
  start: () => Promise<Subject>,
  seed: number,
  weights: Weights,
  enough: (steps: number) => boolean,
  large = false,
): Promise<string | undefined> {
  const generator = new Generator(seed, weights, large)
  const done: Operation[] = []
  const endings: Operation[] = [{ do: 'check' }, { do: 'barrier' }, { do: 'check' }]
  const failure = await replay(
    start,
    (reference) => (enough(done.length) ? endings.shift() : generator.next(reference)),
    done,
  )
  if (failure === undefined) return undefined
  const [smallest, why] = await shrink(start, done, failure)
  return `seed ${seed}: ${JSON.stringify(why, undefined, 1)}\n[\n${smallest.map((operation) => `  ${JSON.stringify(operation)},`).join('\n')}\n]`
}

const shrinkMs = 45_000

/** Leaves out what is not needed to fail: halves first, then ever smaller pieces, for as long as there is time. */
async function shrink(
  start: () => Promise<Subject>,
  failing: readonly Operation[],
  failure: Failure,
): Promise<[readonly Operation[], Failure]> {
  let smallest = failing.slice(0, failure.step)
  let why = failure
  const end = performance.now() + shrinkMs
  for (let size = Math.ceil(smallest.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = smallest.length - size; at > -size; at -= size) {
      if (performance.now() > end) return [smallest, why]
      const without = [...smallest.slice(0, Math.max(0, at)), ...smallest.slice(at + size)]
      const still = await replay(start, without)
      if (still === undefined) continue
      smallest = without.slice(0, still.step)
      why = still
      at = Math.min(at, smallest.length)
    }
  }
  return [smallest, why]
}
