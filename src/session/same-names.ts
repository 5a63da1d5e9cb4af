/**
 * Names that the service gives back in another form than it was sent: one that keeps NFC where we sent NFD, or one
 * that knows no case. Layer: session; a wrapper around the files that the caches and the write-back stand on.
 *
 * Invariant: what is listed is shown under the name that we gave it only when that name itself is not listed and
 * what is listed is what we sent: a service that tells the two apart shows both. Found out once, said once.
 */
import { LRUCache } from 'lru-cache'
import type {
  CallOptions,
  Download,
  RemoteEntry,
  SessionFiles,
  UploadSource,
} from '../client/session-files.ts'
import type { Logger } from '../log.ts'
import { joinPath, nameOf, parentOf } from '../remote-path.ts'

/** Names that were sent and are remembered; some 10 MB. */
const maxNames = 50_000

interface Sent {
  readonly name: string
  /** Bytes; undefined: a directory. */
  readonly size: number | undefined
  /** A listing has given this back under another name. */
  isRenamed: boolean
}

export class SameNames implements SessionFiles {
  readonly #files: SessionFiles
  readonly #logger: Logger
  readonly #sent = new LRUCache<string, Sent>({ maxSize: maxNames, sizeCalculation: () => 1 })
  #isSaid = false

  constructor(files: SessionFiles, logger: Logger) {
    this.#files = files
    this.#logger = logger
  }

  async *list(directory: string, options?: CallOptions): AsyncGenerator<readonly RemoteEntry[]> {
    const listed = new Set<string>()
    const doubtful: { readonly entry: RemoteEntry; readonly sent: Sent }[] = []
    for await (const page of this.#files.list(directory, options)) {
      const plain: RemoteEntry[] = []
      for (const entry of page) {
        const sent = this.#sent.get(keyOf(directory, entry.name))
        if (sent === undefined || sent.name === entry.name) plain.push(entry)
        else doubtful.push({ entry, sent })
        listed.add(entry.name)
      }
      yield plain
    }
    if (doubtful.length > 0)
      yield doubtful.map(({ entry, sent }) => {
        const isSame = !listed.has(sent.name) && (sent.isRenamed || isWhatWasSent(entry, sent))
        return isSame ? this.#asSent(entry, sent) : entry
      })
  }

  download(path: string, options?: CallOptions): Promise<Download> {
    return this.#files.download(path, options)
  }

  async upload(path: string, source: UploadSource, options?: CallOptions): Promise<void> {
    await this.#files.upload(path, source, options)
    this.#remember(path, source instanceof Uint8Array ? source.length : source.size)
    // directories come to be with what is put below them
    for (let above = parentOf(path); above !== ''; above = parentOf(above)) {
      if (this.#sent.get(keyOf(parentOf(above), nameOf(above)))?.name === nameOf(above)) break
      this.#remember(above, undefined)
    }
  }

  async remove(path: string, options?: CallOptions): Promise<void> {
    await this.#files.remove(path, options)
    this.#sent.delete(keyOf(parentOf(path), nameOf(path)))
  }

  async makeDirectory(path: string, options?: CallOptions): Promise<void> {
    await this.#files.makeDirectory(path, options)
    this.#remember(path, undefined)
  }

  #remember(path: string, size: number | undefined): void {
    const [key, name] = [keyOf(parentOf(path), nameOf(path)), nameOf(path)]
    const known = this.#sent.get(key)
    this.#sent.set(key, { name, size, isRenamed: known?.name === name && known.isRenamed })
  }

  #asSent(entry: RemoteEntry, sent: Sent): RemoteEntry {
    sent.isRenamed = true
    if (!this.#isSaid) {
      this.#isSaid = true
      this.#logger.warn(
        { sent: sent.name, listed: entry.name },
        'the service gives names back in another form: they are shown as they were sent',
      )
    }
    return { ...entry, name: sent.name }
  }
}

function isWhatWasSent(entry: RemoteEntry, { size }: Sent): boolean {
  return size === undefined ? entry.isDirectory : !entry.isDirectory && entry.size === size
}

/** The same for names that a service may take for one. */
function keyOf(directory: string, name: string): string {
  return joinPath(directory, name.normalize('NFC').toLowerCase().normalize('NFC'))
}
