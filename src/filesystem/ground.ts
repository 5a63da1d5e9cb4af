/**
 * What the parts of the filesystem stand on: the layers below, what it is told once, and its own memory.
 * Layer: filesystem.
 *
 * Invariant: it is put together once, in `filesystem.ts`, and nothing in it is replaced.
 */
import type { Caller } from './front-end.ts'
import type { Handles } from './handles.ts'
import type { KernelRecord } from './kernel-record.ts'
import type { KernelNews } from './kernel-news.ts'
import type { DirectoryNode } from './node.ts'
import type { FilesystemOptions, FilesystemParts } from './options.ts'
import type { SpecialFile } from './special-file.ts'
import type { Tree } from './tree.ts'
import type { View } from './view.ts'

type Place = readonly [directory: DirectoryNode, name: string]

/**
 * Does something, and notes in the same step that it was done for this request. `move`: what has the first name loses
 * it, for the second one if there is one.
 */
export type CarryOut = <T>(caller: Caller, work: () => T, move?: readonly [from: Place, to?: Place]) => T

export interface Ground extends FilesystemParts {
  readonly options: FilesystemOptions
  readonly tree: Tree
  readonly handles: Handles
  readonly view: View
  readonly news: KernelNews
  /** undefined: nobody goes on when this process ends. */
  readonly record: KernelRecord | undefined
  readonly carryOut: CarryOut
  /** Whether a process before this one has carried out what comes again. */
  readonly wasCarriedOut: (caller: Caller) => boolean
  /** Appending writes that a process before this one had carried out, by their requests. */
  readonly appended: ReadonlySet<number>
  /** By their names at the root. */
  readonly specials: ReadonlyMap<string, SpecialFile>
}
