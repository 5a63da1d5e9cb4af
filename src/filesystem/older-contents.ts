/**
 * Handles that go on with the content they began to read, when the file has a newer one. Layer: filesystem.
 *
 * The kernel keeps one set of pages for a file. So when one handle has begun, all that are open then stay with what
 * they have, and those that are opened later pass the pages by until the others are closed. A handle that reads on past
 * the end of its content goes over to a newer one that begins with all of it: a log that has grown. Where it begins
 * otherwise, it is another file, which gets the name and a number of its own.
 *
 * Invariant: no handle is given bytes of two contents of which one is not the beginning of the other.
 */
import { ServiceError } from '../client/errors.ts'
import { FilesystemError } from './errors.ts'
import type { MaybePromise } from './front-end.ts'
import type { HeldContent } from './held-content.ts'
import type { KernelRecord } from './kernel-record.ts'
import { chain, isPromise } from './maybe-promise.ts'
import type { FileHandle, FileNode } from './node.ts'

/** Contents are compared by so many bytes at a time. */
const stepBytes = 1024 * 1024

type Current = () => MaybePromise<HeldContent | undefined>

export class OlderContents {
  readonly #onOther: (node: FileNode) => void
  readonly #record: KernelRecord | undefined

  /** `onOther` is told of a file whose newer content is that of another file. */
  constructor(onOther: (node: FileNode) => void, record: KernelRecord | undefined) {
    this.#onOther = onOther
    this.#record = record
  }

  /** The file has a newer content than `before`. */
  keep(node: FileNode, before: HeldContent): void {
    if (![...node.handles].some(({ begun }) => begun)) return
    for (const handle of node.handles) {
      handle.older ??= before.keep()
      this.#record?.changedHandle(handle)
    }
  }

  /** What the handle goes on with; undefined: it has gone over to what the file has now. */
  read(
    handle: FileHandle,
    { offset, length }: { readonly offset: number; readonly length: number },
    current: Current,
    signal: AbortSignal,
  ): MaybePromise<Uint8Array | undefined> {
    const { older, node } = handle
    if (older === undefined) return undefined
    /* they are not those that the next open is to find */
    node.pagesOf = undefined
    const read = (): MaybePromise<Uint8Array> => stale(node, () => older.read(offset, length, signal))
    if (offset + length <= older.content.size) return read()
    return chain(this.catchUp(handle, current, signal), (isSame) => (isSame ? undefined : read()))
  }

  /** Goes over to what the file has now if it begins with all of what the handle has. */
  catchUp(handle: FileHandle, current: Current, signal: AbortSignal): MaybePromise<boolean> {
    return chain(current(), async (now) => {
      const { older, node } = handle
      if (older === undefined) return true
      if (now === undefined || now.content.size < older.content.size) return false
      older.keep()
      now.keep()
      try {
        if (await stale(node, () => isBeginning(older, now, signal))) {
          leaveOlder(handle)
          this.#record?.changedHandle(handle)
          return true
        }
      } finally {
        older.leave()
        now.leave()
      }
      if (node.state.kind === 'clean' && node.state.content === now) this.#onOther(node)
      return false
    })
  }
}

/** Whether handles of a file stand on different contents: the kernel's pages are of one of them. */
export function isDivided(node: FileNode): boolean {
  return [...node.handles].some(({ older, lost }) => older !== undefined || lost)
}

export function leaveOlder(handle: FileHandle): void {
  handle.older?.leave()
  handle.older = undefined
}

async function isBeginning(older: HeldContent, now: HeldContent, signal: AbortSignal): Promise<boolean> {
  for (let at = 0; ; at += stepBytes) {
    const before = await older.read(at, stepBytes, signal)
    if (before.length === 0) return true
    const after = await now.read(at, before.length, signal)
    if (Buffer.compare(before, after) !== 0) return false
  }
}

/** The service may not have the rest of an older content any more. */
function stale<T>(node: FileNode, work: () => MaybePromise<T>): MaybePromise<T> {
  const failed = (error: unknown): never => {
    if (!(error instanceof ServiceError) || error.code === 'aborted') throw error
    throw new FilesystemError('stale', `${node.name}: changed while it was read`, { cause: error })
  }
  try {
    const result = work()
    return isPromise(result) ? result.catch(failed) : result
  } catch (error) {
    return failed(error)
  }
}
