/**
 * One holder's view of a content. Layer: cache.
 *
 * Invariant: it is given back once, however often its holder says so.
 */
import type { Content } from './contents.ts'
import type { StreamedContent } from './streamed-content.ts'

export class OpenContent implements Content {
  readonly #content: StreamedContent
  readonly #priority: number
  readonly #onRelease: () => void
  #released = false

  constructor(content: StreamedContent, priority: number, onRelease: () => void) {
    this.#content = content
    this.#priority = priority
    this.#onRelease = onRelease
  }

  get path(): string {
    return this.#content.path
  }

  get size(): number {
    return this.#content.size
  }

  get complete(): boolean {
    return this.#content.complete
  }

  read(offset: number, length: number, signal?: AbortSignal): Uint8Array | Promise<Uint8Array> {
    return this.#content.read(offset, length, this.#priority, signal)
  }

  whole(signal?: AbortSignal): Promise<string> {
    return this.#content.whole(this.#priority, signal)
  }

  release(): void {
    if (this.#released) return
    this.#released = true
    this.#onRelease()
  }
}
