/**
 * From a file that the service has to a working copy that can be written to. Layer: filesystem.
 *
 * Invariant: no working copy ever stands on a part of its base; writers of one file wait for one fetch, and
 * one who gives up leaves no trace.
 */
import { createReadStream } from 'node:fs'
import type { RemoteEntry } from '../client/session-files.ts'
import { WriteBackError, type LocalChanges, type WorkingCopy } from '../write-back/local-changes.ts'
import type { FileBytes } from './file-bytes.ts'
import type { MaybePromise } from './front-end.ts'
import type { FileHandle, FileNode, Staging } from './node.ts'
import type { HeldContent } from './held-content.ts'
import { unused } from './keepers.ts'
import { shared } from './maybe-promise.ts'
import type { Tree } from './tree.ts'
import type { Workbench } from './workbench.ts'

export class Stage {
  readonly #tree: Tree
  readonly #bytes: FileBytes
  readonly #changes: LocalChanges

  constructor({ tree, bytes, changes }: Workbench) {
    this.#tree = tree
    this.#bytes = bytes
    this.#changes = changes
  }

  /** The working copy of a handle that may write, kept for it until it is closed. */
  writable(handle: FileHandle, signal: AbortSignal): MaybePromise<WorkingCopy> {
    this.#bytes.catchUp(handle.node)
    const copy = this.#bytes.copyOf(handle.node)
    if (copy === undefined) return this.#wait(handle, signal)
    this.#bytes.retain(handle, copy)
    return copy
  }

  async #wait(handle: FileHandle, signal: AbortSignal): Promise<WorkingCopy> {
    const { node } = handle
    for (;;) {
      this.#bytes.catchUp(node)
      const copy = this.#bytes.copyOf(node)
      if (copy !== undefined) {
        this.#bytes.retain(handle, copy)
        return copy
      }
      const staging = this.#begin(node)
      staging.waiting.add(handle)
      try {
        await shared(staging.done, signal)
      } finally {
        staging.waiting.delete(handle)
      }
    }
  }

  #begin(node: FileNode): Staging {
    const { state } = node
    if (state.kind === 'clean' && state.staging !== undefined) return state.staging
    const waiting = new Set<FileHandle>()
    const done = this.#fetch(node, waiting).finally(() => {
      if (state.kind === 'clean') state.staging = undefined
    })
    const staging = { done, waiting }
    if (state.kind === 'clean') state.staging = staging
    return staging
  }

  async #fetch(node: FileNode, waiting: ReadonlySet<FileHandle>): Promise<void> {
    for (;;) {
      const held = await this.#bytes.held(node, neverAborted)
      if (held === undefined || waiting.size === 0) return
      const path = this.#tree.findPath(node)
      const isStill = (): boolean =>
        node.state.kind === 'clean' && node.state.content === held && this.#tree.findPath(node) === path
      try {
        const copy = await held.whole((file) => (isStill() ? this.#copy(node, path, file, held) : undefined))
        if (copy === undefined) continue
        if (isStill()) {
          this.#take(node, copy, held, waiting)
          return
        }
        unused(copy)
      } catch (error) {
        if (isStill() && !isReplaced(error)) throw await this.#bytes.failure(node, error, neverAborted)
      }
    }
  }

  /** The copy becomes the file's if anybody still waits for it and nothing else came in between. */
  #take(node: FileNode, copy: WorkingCopy, held: HeldContent, waiting: ReadonlySet<FileHandle>): void {
    const hadItsPages = node.pagesOf === held.content.path
    this.#bytes.catchUp(node)
    const now = this.#bytes.copyOf(node)
    if (waiting.size === 0 || (now !== undefined && now !== copy)) {
      unused(copy)
      return
    }
    for (const handle of waiting) this.#bytes.retain(handle, copy)
    this.#bytes.work(node, copy)
    node.pagesOf = hadItsPages ? copy : undefined
  }

  async #copy(
    node: FileNode,
    path: string | undefined,
    file: string,
    held: HeldContent,
  ): Promise<WorkingCopy> {
    if (path !== undefined) return this.#changes.stage(path, { file, listed: listedNow(node, path, held) })
    /* a file without a name is nobody's on the service, and never will be */
    const copy = this.#changes.createUnnamed()
    for await (const piece of createReadStream(file, { highWaterMark: 1024 * 1024 }))
      copy.write(undefined, piece as Uint8Array)
    return copy
  }
}

/** The name has something else now, and so has whoever opened it. */
function isReplaced(error: unknown): boolean {
  return error instanceof WriteBackError && error.reason === 'interrupted'
}

/** What the service shows of these bytes now: they may have been opened under another name. */
function listedNow(node: FileNode, path: string, { content, listed }: HeldContent): RemoteEntry {
  if (node.shown !== undefined && node.shown.size === listed.size) return node.shown
  return content.path === path ? listed : { ...listed, modifiedSeconds: 0 }
}

/** The fetch is shared: it ends with the last handle, not with one caller. */
const neverAborted = new AbortController().signal
