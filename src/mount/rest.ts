/**
 * Gives memory back when a daemon comes to rest. Layer: mount; for whom the process is theirs.
 *
 * Work leaves behind what V8 collects only when there is more of it, and what glibc keeps for the next time: together
 * some 50 MB after 2,000 files. Collecting it all while there is work would cost a tenth of the work.
 *
 * Invariant: a mount that nobody uses has no timer here, and gives back once: work that leaves little is not worth the
 * pause.
 */
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type Clock, systemClock } from '../clock.ts'
import { trimHeap } from '../fuse/libc.ts'

/** How long, and with how much of the processor at most, makes a rest. */
const restMs = 5_000
const restCpuMs = 50
/** So much more than after the last time is worth a collection, which takes a tenth of a second. */
const worthBytes = 16 * 1024 * 1024

interface CollectOptions {
  readonly type: 'major'
  readonly execution: 'sync'
  readonly flavor: 'last-resort'
}

export interface RestOptions {
  readonly clock: Clock
  /** What this process has used of the processor, in milliseconds. */
  readonly cpuMs: () => number
  /** What the heap has, in use or not, and what it holds outside. */
  readonly heldBytes: () => number
  readonly giveBack: () => void
}

export class Rest {
  readonly #options: RestOptions
  #keptBytes: number
  #isWatching = false

  constructor(options: RestOptions) {
    this.#options = options
    this.#keptBytes = options.heldBytes()
  }

  /** There is something to do: at each request of the kernel, at no cost. */
  worked(): void {
    if (this.#isWatching) return
    this.#isWatching = true
    this.#watch()
  }

  /* by the processor: uploads and what is fetched ahead go on when the kernel asks nothing any more */
  #watch(): void {
    const { clock, cpuMs } = this.#options
    const before = cpuMs()
    clock.after(restMs, () => {
      if (cpuMs() - before > restCpuMs) this.#watch()
      else this.#rest()
    })
  }

  #rest(): void {
    const { heldBytes, giveBack } = this.#options
    this.#isWatching = false
    if (heldBytes() - this.#keptBytes < worthBytes) return
    giveBack()
    this.#keptBytes = heldBytes()
  }
}

/** Of this process. */
export function restOfProcess(): Rest {
  return new Rest({
    clock: systemClock,
    cpuMs: () => {
      const { user, system } = process.cpuUsage()
      return (user + system) / 1000
    },
    heldBytes: () => {
      const { total_heap_size: heap, external_memory: outside } = getHeapStatistics()
      return heap + outside
    },
    giveBack: () => {
      collect()
      trimHeap()
    },
  })
}

/** All there is, and compacts: an ordinary collection leaves most pages of the heap in use. */
export function collect(): void {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as (options: CollectOptions) => void
  /* with other flags nothing that was compiled and kept would be taken */
  setFlagsFromString('--no-expose-gc')
  gc({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}
