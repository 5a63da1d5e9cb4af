/**
 * A content of the cache as the handles of one file share it. Layer: filesystem.
 *
 * Invariant: it is given back exactly once, when the file and its handles have let go of it and no read is under way in it;
 * a fetch of the whole of it ends when the file lets go.
 */
import type { Content } from '../cache/contents.ts'
import type { RemoteEntry } from '../client/session-files.ts'
import type { MaybePromise } from './front-end.ts'
import { isPromise } from './maybe-promise.ts'

/** One for all: making an error takes longer than reading a small file. */
const letGo = new Error('the file has let go of its content')

export class HeldContent {
  readonly content: Content
  /** The entry it was opened by. */
  readonly listed: RemoteEntry
  readonly #dropped = new AbortController()
  #users = 1

  constructor(content: Content, listed: RemoteEntry) {
    this.content = content
    this.listed = listed
  }

  read(offset: number, length: number, signal: AbortSignal): MaybePromise<Uint8Array> {
    return this.#using(() => this.content.read(offset, length, signal))
  }

  /** What `use` makes of the local file with all of it, which is good until then. */
  async whole<T>(use: (file: string) => MaybePromise<T>): Promise<T> {
    return this.#using(async () => use(await this.content.whole(this.#dropped.signal)))
  }

  /** One more has it, until `leave`. */
  keep(): this {
    this.#users++
    return this
  }

  leave(): void {
    this.#users--
    if (this.#users === 0) this.content.release()
  }

  /** The file lets go of it. */
  drop(): void {
    this.#dropped.abort(letGo)
    this.leave()
  }

  #using<T>(work: () => MaybePromise<T>): MaybePromise<T> {
    this.#users++
    let result: MaybePromise<T>
    try {
      result = work()
    } catch (error) {
      this.leave()
      throw error
    }
    if (isPromise(result)) return result.finally(() => this.leave())
    this.leave()
    return result
  }
}
