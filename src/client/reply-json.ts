/**
 * The JSON of an answer, gzip or not. Layer: client.
 *
 * Invariant: neither the bytes received nor what they inflate to exceed a bound.
 */
import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate } from 'node:zlib'
import { ServiceError } from './errors.ts'
import type { Reply } from './transport.ts'

const maxBytes = 32 * 1024 * 1024

const decoders: Readonly<
  Record<string, (bytes: Buffer, limit: { maxOutputLength: number }) => Promise<Buffer>>
> = {
  gzip: promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
}

/** Undefined for an empty body. Fails with `protocol` for what is no JSON, or as the body does. */
export async function readJson(what: string, reply: Reply): Promise<unknown> {
  const raw = await reply.body.whole(maxBytes)
  const encoding = reply.headers['content-encoding'] ?? 'identity'
  try {
    const decode = typeof encoding === 'string' && encoding !== 'identity' ? decoders[encoding] : undefined
    if (decode === undefined && encoding !== 'identity') throw new Error(`unknown content encoding`)
    const text = decode === undefined ? raw : await decode(raw, { maxOutputLength: maxBytes })
    return text.length === 0 ? undefined : JSON.parse(text.toString('utf8'))
  } catch (cause) {
    throw new ServiceError('protocol', `${what}: the answer is no JSON`, { status: reply.status, cause })
  }
}
