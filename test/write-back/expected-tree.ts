/**
 * What every process must see, and what the service must have once a barrier says so. Layer: tests.
 *
 * Invariant: a difference throws, and says which path has what.
 */
import type { MemoryFiles } from '../contract/memory-files.ts'
import { type ModelView, parentOf } from './model-view.ts'

export interface FileModel {
  bytes: Buffer
}

export type Expected = { readonly kind: 'file'; readonly file: FileModel } | { readonly kind: 'directory' }

export class ExpectedTree {
  readonly #entries = new Map<string, Expected>()
  readonly #isScratch: (path: string) => boolean

  /** `isScratch` tells the files that never travel. */
  constructor(isScratch: (path: string) => boolean) {
    this.#isScratch = isScratch
  }

  get(path: string): Expected | undefined {
    return this.#entries.get(path)
  }

  set(path: string, expected: Expected): void {
    this.#entries.set(path, expected)
  }

  delete(path: string): void {
    this.#entries.delete(path)
  }

  hasParent(path: string): boolean {
    const parent = parentOf(path)
    return parent === '' || this.#entries.get(parent)?.kind === 'directory'
  }

  /** All paths below a directory, each after its parent. */
  below(directory: string): string[] {
    return [...this.#entries.keys()].filter((other) => other.startsWith(`${directory}/`)).sort()
  }

  get scratchFiles(): number {
    return [...this.#entries].filter(([path, { kind }]) => kind === 'file' && this.#isScratch(path)).length
  }

  /** With what a process is shown. */
  compareView(view: ModelView): void {
    for (const directory of ['', ...this.#entries.keys()]) {
      if (directory !== '' && this.#entries.get(directory)?.kind !== 'directory') continue
      const shown = [...view.shownIn(directory)].sort()
      const expected = this.#childrenOf(directory).sort()
      if (shown.join() !== expected.join())
        throw new Error(`${directory || 'the root'} shows ${shown.join()}, not ${expected.join()}`)
    }
    for (const [path, expected] of this.#entries) {
      const shown = view.bytesShown(path)
      if (expected.kind === 'directory') {
        if (shown !== 'directory') throw new Error(`${path} is not shown as a directory`)
      } else if (!(shown instanceof Uint8Array) || !expected.file.bytes.equals(shown)) {
        const text = typeof shown === 'string' ? shown : Buffer.from(shown).toString()
        throw new Error(`${path} shows ${text}, not ${expected.file.bytes.toString()}`)
      }
    }
  }

  /** With what the service has at and below a path. */
  compareService(files: MemoryFiles, below: string): void {
    const within = (path: string): boolean => below === '' || path === below || path.startsWith(`${below}/`)
    const travelling = [...this.#entries].filter(([path]) => within(path) && !this.#isScratch(path))
    const expected = travelling.map(([path, { kind }]) => (kind === 'file' ? path : `${path}/`)).sort()
    const found = files.paths().filter((path) => within(path.replace(/\/$/, '')))
    if (found.join() !== expected.join())
      throw new Error(`the service has ${found.join()}, not ${expected.join()}`)
    for (const [path, entry] of travelling) {
      if (entry.kind === 'directory') continue
      const bytes = files.bytes(path)
      if (!bytes || !entry.file.bytes.equals(bytes)) {
        const text = String(bytes && Buffer.from(bytes).toString())
        throw new Error(`${path} on the service is ${text}, not ${entry.file.bytes.toString()}`)
      }
    }
  }

  #childrenOf(directory: string): string[] {
    return [...this.#entries.keys()]
      .filter((path) => parentOf(path) === directory)
      .map((path) => path.slice(path.lastIndexOf('/') + 1))
  }
}
