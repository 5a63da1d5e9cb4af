/**
 * The names of a directory on the disk, in order. Layer: emulator.
 *
 * Invariant: what is remembered, so that each page of a big directory does not cost as much as the first, is
 * used only while the directory is as it was, and is remembered only when a change since would show.
 */
import * as fs from 'node:fs'
import { LRUCache } from 'lru-cache'

/** Smaller ones are read faster than looked up. */
const rememberedFrom = 1000
const rememberedDirectories = 16
/** Two changes within this time may leave one time of modification. */
const clockStepMs = 100

interface Ordered {
  readonly inode: bigint
  readonly modifiedNs: bigint
  readonly position: (name: string) => string
  readonly descending: boolean
  readonly names: readonly string[]
}

export class DirectoryOrder {
  readonly #remembered = new LRUCache<string, Ordered>({ max: rememberedDirectories })

  /** Ordered by what `position` says of each name, by code unit. Throws as readdir(3) does. */
  names(directory: string, position: (name: string) => string, descending: boolean): readonly string[] {
    const before = fs.statSync(directory, { bigint: true })
    const { ino: inode, mtimeNs: modifiedNs } = before
    const known = this.#remembered.get(directory)
    if (
      known?.inode === inode &&
      known.modifiedNs === modifiedNs &&
      known.position === position &&
      known.descending === descending
    )
      return known.names
    const readAt = Date.now()
    const names = inOrder(fs.readdirSync(directory), position, descending)
    if (names.length >= rememberedFrom && readAt - Number(before.mtimeMs) > clockStepMs)
      this.#remembered.set(directory, { inode, modifiedNs, position, descending, names })
    return names
  }
}

function inOrder(names: string[], position: (name: string) => string, descending: boolean): string[] {
  const sign = descending ? -1 : 1
  return names
    .map((name) => ({ name, key: position(name) }))
    .sort((a, b) => (a.key < b.key ? -sign : a.key > b.key ? sign : 0))
    .map(({ name }) => name)
}
