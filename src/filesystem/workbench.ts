/**
 * What every operation works with: the ground, and the parts that know the bytes, names and attributes of
 * nodes. Layer: filesystem.
 *
 * Invariant: nothing here knows an operation.
 */
import type { FileBytes } from './file-bytes.ts'
import type { Ground } from './ground.ts'
import type { Resolver } from './resolver.ts'
import type { Stat } from './stat.ts'

export interface Workbench extends Ground {
  readonly bytes: FileBytes
  readonly resolver: Resolver
  readonly stat: Stat
}
