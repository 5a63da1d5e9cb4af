/**
 * A file that is being downloaded, as a user of the library has it. Layer: client.
 *
 * Invariant: its bytes are there once: as a stream, whole, or as text; who asks for them again is told so.
 */
import { ServiceError } from './errors.ts'
import type { HttpReply } from './exchange.ts'
import type { ReplyBody } from './reply-body.ts'
import { dateMs } from './retry.ts'
import type { Download } from './session-files.ts'

export interface FileDownload extends Download {
  /** All of the file, in memory. Fails with `truncated` when it was cut; it is not asked for again. */
  bytes(): Promise<Uint8Array>
  /** All of the file as UTF-8; what is none becomes U+FFFD, a byte order mark stays. */
  text(): Promise<string>
}

/** The answer to a download, once its first byte is here: a body cut before it is worth another attempt. */
export async function receiveDownload(what: string, reply: HttpReply): Promise<FileDownload> {
  const { body, headers, status } = reply
  if ((headers['content-encoding'] ?? 'identity') !== 'identity')
    throw new ServiceError('protocol', `${what}: the answer is encoded, though it must not be`, { status })
  await body.peek()
  return new ReceivedDownload(what, body, dateMs(headers['date']))
}

class ReceivedDownload implements FileDownload {
  readonly length: number | undefined
  readonly serverDateMs: number | undefined
  readonly body: AsyncIterable<Uint8Array>
  readonly #what: string
  readonly #reply: ReplyBody

  constructor(what: string, reply: ReplyBody, serverDateMs: number | undefined) {
    this.length = reply.length
    this.serverDateMs = serverDateMs
    this.body = reply
    this.#what = what
    this.#reply = reply
  }

  async bytes(): Promise<Uint8Array> {
    if (this.#reply.isBegun)
      throw new ServiceError('bad_request', `${this.#what}: its bytes were read before: download it again`)
    return await this.#reply.whole(Infinity)
  }

  async text(): Promise<string> {
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(await this.bytes())
  }
}
