/**
 * What the files at the top of the write-back work with. Layer: write-back; made once, in `write-back.ts`.
 */
import type { CallParts } from './calls/call-parts.ts'
import type { Doubts } from './calls/doubts.ts'
import type { Journal } from './disk/journal.ts'
import type { Barriers } from './queue/barriers.ts'
import type { UploadQueue } from './queue/upload-queue.ts'

export interface Parts extends CallParts {
  readonly journal: Journal
  readonly queue: UploadQueue
  readonly barriers: Barriers
  readonly doubts: Doubts
  /** Milliseconds after which a file that stays open and dirty is sent anyway. */
  readonly dirtyExpireMs: number
}
