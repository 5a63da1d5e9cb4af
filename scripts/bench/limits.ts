/**
 * What a job needs of the link, and how long the link alone would take for it. Layer: benchmark.
 *
 * The bytes of the contents, and the round trips of which each waits for the answer to the one before, because only
 * that answer names what it asks for; whatever does not depend on another goes at once, on connections that are open.
 *
 * Invariant: nothing in it is of our making: no header, no handshake, no bound on how much is under way.
 */
import type { TreeShape } from './fixtures.ts'

export interface Need {
  /** Requests of which each is named by the answer to the one before. */
  readonly dependent: number
  /** Bytes of contents and entries alone. */
  readonly content: number
}

export interface Line {
  readonly bitsPerSecond: number
  /** As measured. */
  readonly roundTripMs: number
}

const entriesAtOnce = 100
const entryBytes = 20 /* compressed */

/** Seconds. */
export function physicalSeconds({ dependent, content }: Need, { roundTripMs, bitsPerSecond }: Line): number {
  return (dependent * roundTripMs) / 1000 + (content * 8) / bitsPerSecond
}

/** A tree below the root: the root and what is in it come before the directories below, which go side by side. */
export function listing({ files, directories }: TreeShape): Need {
  const pagesOfEach = Math.ceil(files / directories / entriesAtOnce)
  const above = 1 + Math.ceil(directories / entriesAtOnce)
  return { dependent: above + pagesOfEach, content: (files + directories) * entryBytes }
}

/** The same, and all its files. */
export function reading(shape: TreeShape): Need {
  const { dependent, content } = listing(shape)
  return { dependent: dependent + 1, content: content + shape.files * shape.bytes }
}

/** New files: the root is listed, and then nothing names the next. */
export function writing(bytes: number): Need {
  return { dependent: 2, content: bytes }
}

/** One big file, either way. */
export function transferring(bytes: number): Need {
  return { dependent: 2, content: bytes }
}

/** A tree is listed, its files go, and after them what is left of it, at the top. */
export function removing(shape: TreeShape): Need {
  const { dependent, content } = listing(shape)
  return { dependent: dependent + 2, content }
}

/**
 * `git status` of a clone at the root of the session. Git goes from the root to the clone, to `.git` and the
 * directories of the work tree, to HEAD, the index, the refs and the files, to the branch that HEAD names, the commit that
 * the branch names, and the tree that the commit names, which it compares with the index.
 */
export function gitStatus(shape: TreeShape): Need {
  const work = reading({ ...shape, directories: shape.directories + 1 })
  return { ...work, dependent: 7 }
}
