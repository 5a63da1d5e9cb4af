/**
 * What a process is shown: local changes laid over what the service has, as the filesystem lays them. Layer: tests.
 *
 * Invariant: where a local change speaks of a name, nothing of the service shows through it.
 */
import { join } from 'node:path'
import type { RemoteEntry } from '../../src/client/session-files.ts'
import type { LocalEntry } from '../../src/write-back/local-changes.ts'
import type { MemoryFiles } from '../contract/memory-files.ts'
import type { Incarnations } from './incarnations.ts'

export class ModelView {
  readonly #files: MemoryFiles
  readonly #runs: Incarnations

  constructor(files: MemoryFiles, runs: Incarnations) {
    this.#files = files
    this.#runs = runs
  }

  shownIn(directory: string): Set<string> {
    const { changes } = this.#runs
    const shown = new Set<string>()
    if (this.isRemote(directory)) {
      for (const name of this.#remoteNames(directory)) {
        if (!changes.get(join(directory, name))) shown.add(name)
      }
    }
    for (const [name, entry] of changes.children(directory)) if (entry.kind !== 'absent') shown.add(name)
    return shown
  }

  bytesShown(path: string): Uint8Array | string {
    const local = this.#runs.changes.get(path)
    if (local === undefined)
      return this.#files.bytes(path) ?? (this.#files.has(path) ? 'directory' : 'nothing')
    if (local.kind !== 'file') return local.kind
    if (local.content.from === 'spool') return local.content.copy.read(0, local.size)
    return this.#files.bytes(local.content.path) ?? 'nothing'
  }

  /** Whether the service may know what is in a directory: no local change at or above it hides it. */
  isRemote(directory: string): boolean {
    for (let path = directory; ; path = parentOf(path)) {
      const local: LocalEntry | undefined = this.#runs.changes.get(path)
      if (local) return local.kind === 'directory' && local.remote
      if (path === '') return true
    }
  }

  /** The remote entry of a path that the local side says nothing of. */
  over(path: string): RemoteEntry | undefined {
    if (this.#runs.changes.get(path) || !this.isRemote(parentOf(path)) || !this.#files.has(path))
      return undefined
    return this.#entry(path)
  }

  /** As the filesystem lists it: down every directory that the local side does not hide. */
  remoteBelow(directory: string): Map<string, RemoteEntry> {
    const found = new Map<string, RemoteEntry>()
    const walk = (path: string): void => {
      if (!this.isRemote(path)) return
      for (const name of this.#remoteNames(path)) {
        const child = `${path}/${name}`
        const local = this.#runs.changes.get(child)
        if (!local) found.set(child.slice(directory.length + 1), this.#entry(child))
        if (this.#files.bytes(child) === undefined) walk(child)
      }
    }
    walk(directory)
    return found
  }

  #remoteNames(directory: string): string[] {
    return this.#files
      .paths()
      .map((path) => path.replace(/\/$/, ''))
      .filter((path) => path !== '' && parentOf(path) === directory)
      .map((path) => path.slice(path.lastIndexOf('/') + 1))
  }

  #entry(path: string): RemoteEntry {
    const bytes = this.#files.bytes(path)
    const name = path.slice(path.lastIndexOf('/') + 1)
    return { name, isDirectory: bytes === undefined, size: bytes?.length ?? 0, modifiedSeconds: 0 }
  }
}

export function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')))
}
