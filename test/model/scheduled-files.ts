/**
 * The files of a session whose every request and every answer waits until a test lets it go on. Layer: tests.
 *
 * Invariant: a call has its effect at the service between the two waits, in one step; one that its caller gave
 * up waits no longer.
 */
import { ServiceError } from '../../src/client/errors.ts'
import type {
  CallOptions,
  Download,
  RemoteEntry,
  SessionFiles,
  UploadSource,
} from '../../src/client/session-files.ts'

interface Waiting {
  readonly what: string
  readonly goOn: () => void
}

export class ScheduledFiles implements SessionFiles {
  /** What waits now, oldest first. */
  readonly waiting: Waiting[] = []
  /** Nothing waits from now on. */
  isOpen = false
  readonly #files: SessionFiles

  constructor(files: SessionFiles) {
    this.#files = files
  }

  open(): void {
    this.isOpen = true
    for (const { goOn } of this.waiting.splice(0)) goOn()
  }

  async *list(directory: string, options: CallOptions = {}): AsyncGenerator<readonly RemoteEntry[]> {
    await this.#turn(`list ${directory}`, options)
    for await (const page of this.#files.list(directory, options)) {
      await this.#turn(`page of ${directory}`, options)
      yield page
    }
  }

  async download(path: string, options: CallOptions = {}): Promise<Download> {
    await this.#turn(`download ${path}`, options)
    const download = await this.#files.download(path, options)
    await this.#turn(`answer to download ${path}`, options)
    return { ...download, body: this.#body(path, download.body, options) }
  }

  async upload(path: string, source: UploadSource, options: CallOptions = {}): Promise<void> {
    await this.#around(`upload ${path}`, options, () => this.#files.upload(path, source, options))
  }

  async remove(path: string, options: CallOptions = {}): Promise<void> {
    await this.#around(`remove ${path}`, options, () => this.#files.remove(path, options))
  }

  async makeDirectory(path: string, options: CallOptions = {}): Promise<void> {
    await this.#around(`mkdir ${path}`, options, () => this.#files.makeDirectory(path, options))
  }

  async *#body(
    path: string,
    body: AsyncIterable<Uint8Array>,
    options: CallOptions,
  ): AsyncGenerator<Uint8Array> {
    for await (const piece of body) {
      yield piece
      await this.#turn(`piece of ${path}`, options)
    }
  }

  async #around(what: string, options: CallOptions, call: () => Promise<void>): Promise<void> {
    await this.#turn(what, options)
    try {
      await call()
    } finally {
      await this.#turn(`answer to ${what}`, options)
    }
  }

  #turn(what: string, { signal }: CallOptions): Promise<void> {
    if (this.isOpen) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const waiting = {
        what,
        goOn: () => {
          signal?.removeEventListener('abort', giveUp)
          resolve()
        },
      }
      const giveUp = (): void => {
        const at = this.waiting.indexOf(waiting)
        if (at >= 0) this.waiting.splice(at, 1)
        reject(
          new ServiceError('aborted', `${what}: the caller gave up`, {
            ambiguous: true,
            cause: signal?.reason,
          }),
        )
      }
      if (signal?.aborted === true) {
        reject(
          new ServiceError('aborted', `${what}: the caller gave up`, {
            ambiguous: true,
            cause: signal.reason,
          }),
        )
        return
      }
      this.waiting.push(waiting)
      signal?.addEventListener('abort', giveUp, { once: true })
    })
  }
}
