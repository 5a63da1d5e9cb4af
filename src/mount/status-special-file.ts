/**
 * `.status`: what `mount-session status --json` prints, as a file. Layer: mount.
 *
 * Invariant: made when it is opened, so that one reader sees one moment; causes no request.
 */
import type { OpenSpecialFile, SpecialFile } from '../filesystem/special-file.ts'
import type { StatusReport } from '../control/protocol.ts'

export class StatusSpecialFile implements SpecialFile {
  readonly name: string
  readonly #status: () => StatusReport

  constructor(status: () => StatusReport, name = '.status') {
    this.name = name
    this.#status = status
  }

  size(): number {
    return this.#text().length
  }

  open(): OpenSpecialFile {
    return this.reopen(this.#text().toString())
  }

  reopen(remembered: string): OpenSpecialFile {
    const text = Buffer.from(remembered)
    return {
      remembered,
      read: (offset, length) => text.subarray(offset, offset + length),
      size: () => text.length,
      close: () => undefined,
    }
  }

  #text(): Buffer {
    return Buffer.from(`${JSON.stringify(this.#status(), null, 2)}\n`)
  }
}
