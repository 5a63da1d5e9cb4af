/**
 * What the parts of the filesystem stand on: the layers below, what it is told once, and its own memory.
 * Layer: filesystem.
 *
 * Invariant: it is put together once, in `filesystem.ts`, and nothing in it is replaced.
 */
import type { Handles } from './handles.ts'
import type { KernelNews } from './kernel-news.ts'
import type { FilesystemOptions, FilesystemParts } from './options.ts'
import type { SpecialFile } from './special-file.ts'
import type { Tree } from './tree.ts'
import type { View } from './view.ts'

export interface Ground extends FilesystemParts {
  readonly options: FilesystemOptions
  readonly tree: Tree
  readonly handles: Handles
  readonly view: View
  readonly news: KernelNews
  /** By their names at the root. */
  readonly specials: ReadonlyMap<string, SpecialFile>
}
