/**
 * Steps of the write-back's model that are drawn whole: a fault of the service, listings that are behind, a change
 * of an open file.
 * Layer: tests.
 */
import type { Clock } from '../../src/clock.ts'
import type { ServiceErrorCode } from '../../src/client/errors.ts'
import type { WorkingCopy } from '../../src/write-back/local-changes.ts'
import type { MemoryFiles } from '../contract/memory-files.ts'
import type { FileModel } from './expected-tree.ts'
import type { Random } from './random.ts'

export interface OpenFile {
  readonly copy: WorkingCopy
  readonly file: FileModel
}

/** Lets the next calls of one kind fail; answers what it is, for the trace. */
export function addFault(files: MemoryFiles, random: Random, withLate: boolean): string {
  const verb = random.pick([
    'list',
    'download',
    'upload',
    'upload',
    'upload',
    'remove',
    'makeDirectory',
  ] as const)
  const isChange = verb !== 'list' && verb !== 'download'
  const ambiguous = isChange && random.chance(0.6)
  const errors: ServiceErrorCode[] = ['network', 'server_error', 'timeout']
  const plain: ServiceErrorCode[] = [
    'network',
    'throttled',
    'server_error',
    'unauthorized',
    'session_not_ready',
  ]
  if (verb === 'upload') plain.push('bad_request')
  const error = random.pick(ambiguous ? errors : plain)
  const kinds = withLate ? (['first', 'late', 'late', 'part'] as const) : (['first', 'part'] as const)
  const applied = ambiguous ? random.pick(kinds) : 'never'
  const times = 1 + random.below(3)
  files.fail({ verb, error, applied, times })
  return `fault ${verb} ${error} ${applied} ${times}`
}

/** Truncates an open file, or writes `bytes` to it somewhere, and does the same to its model. */
export function changeSomehow({ copy, file }: OpenFile, random: Random, bytes: Buffer): void {
  if (random.chance(0.2)) {
    const size = random.below(file.bytes.length + 3)
    copy.truncate(size)
    const changed = Buffer.alloc(size)
    file.bytes.copy(changed)
    file.bytes = changed
    return
  }
  const offset = random.chance(0.5) ? undefined : random.below(file.bytes.length + 2)
  copy.write(offset, bytes)
  const at = offset ?? file.bytes.length
  const changed = Buffer.alloc(Math.max(file.bytes.length, at + bytes.length))
  file.bytes.copy(changed)
  bytes.copy(changed, at)
  file.bytes = changed
}

/** Listings that are behind for a while. */
export class Behind {
  readonly #files: MemoryFiles
  readonly #clock: Clock
  readonly #trace: string[]
  #since: number | undefined

  constructor(files: MemoryFiles, clock: Clock, trace: string[]) {
    this.#files = files
    this.#clock = clock
    this.#trace = trace
  }

  fall(): void {
    this.#trace.push('listings fall behind')
    this.#since ??= this.#clock.now()
    this.#files.fallBehind()
  }

  /** They catch up when they have been behind for so many milliseconds. */
  mayCatchUp(afterMs: number): void {
    if (this.#since === undefined || this.#clock.now() - this.#since < afterMs) return
    this.#trace.push('  listings catch up')
    this.#since = undefined
    this.#files.catchUp()
  }
}
