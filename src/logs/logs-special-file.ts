/**
 * `.logs`, as the filesystem shows it: the log file on the local disk, kept up to date while it is open.
 * Layer: logs. It has the shape of the filesystem's special files without knowing of them.
 *
 * Invariant: asking for its size or reading it causes no request; opening it may.
 */
import type { LogFile } from './log-file.ts'
import type { LogFollower } from './follow-logs.ts'

export interface OpenLogs {
  /** At most `length` bytes, fewer only at what is the end now. */
  read(offset: number, length: number): Uint8Array
  /** Grows as lines come; falls to 0 when the file starts again. */
  size(): number
  close(): void
  /** Nothing is needed to go on: whoever reads knows where, and the file is as it was. */
  readonly remembered: string
}

export class LogsSpecialFile {
  readonly name: string
  readonly #file: LogFile
  readonly #follower: LogFollower

  constructor(file: LogFile, follower: LogFollower, name = '.logs') {
    this.name = name
    this.#file = file
    this.#follower = follower
  }

  size(): number {
    return this.#file.size
  }

  /** Waits for the opening burst of a new connection, 2 s at most. Rejects with `signal.reason` when aborted. */
  async open(signal: AbortSignal): Promise<OpenLogs> {
    await this.#follower.retain(signal)
    if (signal.aborted) {
      this.#follower.release()
      throw signal.reason
    }
    return this.#opened()
  }

  /** Goes on with what a process before this one had open. */
  reopen(): OpenLogs {
    void this.#follower.retain()
    return this.#opened()
  }

  #opened(): OpenLogs {
    let isOpen = true
    return {
      remembered: '',
      read: (offset, length) => this.#file.read(offset, length),
      size: () => this.#file.size,
      close: () => {
        if (isOpen) this.#follower.release()
        isOpen = false
      },
    }
  }
}
