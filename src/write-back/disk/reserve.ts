/**
 * Room on the disk that is kept for the journal: on a full disk uploads could not be written down, so that
 * none would be sent and the spool would never get empty. Layer: write-back.
 *
 * Invariant: while it is given up for the journal, the spool does not grow.
 */
import { rmSync, statfsSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** The journal's log grows to four megabytes before it starts again. */
const reservedBytes = 4 * 1024 * 1024

/** For what else a start writes beside it: a disk that was full is not filled again before the first upload. */
const startBytes = 1024 * 1024

/** Where it lies in the directory of a journal. */
export const reserveName = 'spool.reserve'

/** What a run that was killed kept: the next one needs it to open the journal on a full disk. */
export function releaseReserve(journalDirectory: string): void {
  rmSync(join(journalDirectory, reserveName), { force: true })
}

export class Reserve {
  readonly #file: string
  #isReserved = false

  constructor(file: string) {
    this.#file = file
    this.#reserve(reservedBytes + startBytes)
  }

  /** Whether the spool may grow; takes the room back when the disk has it again. */
  get isReserved(): boolean {
    if (!this.#isReserved) this.#reserve(2 * reservedBytes)
    return this.#isReserved
  }

  /** Gives the room to the journal. */
  release(): void {
    rmSync(this.#file, { force: true })
    this.#isReserved = false
  }

  #reserve(wantedBytes: number): void {
    try {
      const { bavail, bsize } = statfsSync(dirname(this.#file))
      if (bavail * bsize < wantedBytes) return
      writeFileSync(this.#file, Buffer.alloc(reservedBytes), { mode: 0o600 })
      this.#isReserved = true
    } catch {
      // a disk that is full already has nothing to keep
      this.release()
    }
  }
}
