/**
 * What a job needs of the link, and how long the link alone would take for it. Layer: benchmark.
 *
 * Two limits. The physical one: the bytes of the contents and the round trips of which each waits for the
 * answer to the one before, because only that answer names what it asks for; whatever does not depend on
 * another goes at once, on connections that are open. The link's own, as a client meets it: with headers,
 * handshakes and the requests in rounds of as many as our defaults allow at once.
 *
 * Invariant: nothing in the physical limit is of our making.
 */
import type { TreeShape } from './fixtures.ts'

export interface Need {
  /** Rounds of requests, one after the other. */
  readonly rounds: number
  /** Bytes one way, headers and all. */
  readonly bytes: number
  /** Requests of which each is named by the answer to the one before. */
  readonly dependent: number
  /** Bytes of contents and entries alone. */
  readonly content: number
}

export interface Line {
  readonly bitsPerSecond: number
  /** As measured. */
  readonly roundTripMs: number
  /** Until a new connection carries its first request: 1, and 2 with TLS. */
  readonly handshakeRoundTrips: number
}

/* requests at once that our limits allow, and what a request with its answer weighs besides its content */
const readsAtOnce = 32
const writesAtOnce = 16
const overheadBytes = 700

const entriesAtOnce = 100
const entryBytes = 20 /* compressed */

/** Seconds. A burst of requests needs connections: their handshakes go side by side, and count once. */
export function linkSeconds({ rounds, bytes }: Need, line: Line): number {
  return seconds(line.handshakeRoundTrips + rounds, bytes, line)
}

/** Seconds. */
export function physicalSeconds({ dependent, content }: Need, line: Line): number {
  return seconds(dependent, content, line)
}

function seconds(roundTrips: number, bytes: number, { roundTripMs, bitsPerSecond }: Line): number {
  return (roundTrips * roundTripMs) / 1000 + (bytes * 8) / bitsPerSecond
}

/** A tree below the root: the root and what is in it come before the directories below, which go side by side. */
export function listing({ files, directories }: TreeShape): Need {
  const pagesOfEach = Math.ceil(files / directories / entriesAtOnce)
  const above = 1 + Math.ceil(directories / entriesAtOnce)
  return {
    rounds: above + Math.ceil(directories / readsAtOnce) * pagesOfEach,
    bytes: directories * pagesOfEach * overheadBytes + files * entryBytes,
    dependent: above + pagesOfEach,
    content: (files + directories) * entryBytes,
  }
}

/** The same, and all its files. */
export function reading(shape: TreeShape): Need {
  const { rounds, bytes, dependent, content } = listing(shape)
  return {
    rounds: rounds + Math.ceil(shape.files / readsAtOnce),
    bytes: bytes + shape.files * (shape.bytes + overheadBytes),
    dependent: dependent + 1,
    content: content + shape.files * shape.bytes,
  }
}

/** So many new files: the root is listed, and then nothing names the next. */
export function writing(files: number, bytes: number): Need {
  return {
    rounds: Math.ceil(files / writesAtOnce),
    bytes: bytes + files * overheadBytes,
    dependent: 2,
    content: bytes,
  }
}

/** One big file, either way. */
export function transferring(bytes: number): Need {
  return { rounds: 1, bytes, dependent: 2, content: bytes }
}

/** A tree is listed, its files go, and after them what is left of it, at the top. */
export function removing(shape: TreeShape): Need {
  const { rounds, bytes, dependent, content } = listing(shape)
  const requests = shape.files + shape.directories + 1
  return {
    rounds: rounds + Math.ceil(requests / writesAtOnce),
    bytes: bytes + requests * overheadBytes,
    dependent: dependent + 2,
    content,
  }
}

/**
 * `git status` of a clone at the root of the session. Git goes from the root to the clone, to `.git` and the
 * directories of the work tree, to HEAD, the index, the refs and the files, and last to the branch that HEAD names.
 */
export function gitStatus(shape: TreeShape): Need {
  const work = reading({ ...shape, directories: shape.directories + 1 })
  return { ...work, dependent: 5 }
}
