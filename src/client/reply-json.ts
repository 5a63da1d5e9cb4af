/**
 * The JSON of an answer, gzip or not. Layer: client.
 *
 * Invariant: neither the bytes received nor what they inflate to exceed a bound.
 */
import { promisify } from 'node:util'
import { brotliDecompress, brotliDecompressSync, gunzip, gunzipSync, inflate, inflateSync } from 'node:zlib'
import { ServiceError } from './errors.ts'
import type { HttpReply } from './exchange.ts'

const maxBytes = 32 * 1024 * 1024

/** So little is inflated at once: a thread would cost more than it takes. */
const smallBytes = 8 * 1024

type Decoder = (bytes: Buffer, limit: { maxOutputLength: number }) => Buffer | Promise<Buffer>

const decoders: Readonly<Record<string, { readonly small: Decoder; readonly big: Decoder }>> = {
  gzip: { small: gunzipSync, big: promisify(gunzip) },
  deflate: { small: inflateSync, big: promisify(inflate) },
  br: { small: brotliDecompressSync, big: promisify(brotliDecompress) },
}

/** Undefined for an empty body. Fails with `protocol` for what is no JSON, or as the body does. */
export async function readJson(what: string, reply: HttpReply): Promise<unknown> {
  const raw = await reply.body.whole(maxBytes)
  const encoding = reply.headers['content-encoding'] ?? 'identity'
  try {
    const decode = typeof encoding === 'string' && encoding !== 'identity' ? decoders[encoding] : undefined
    if (decode === undefined && encoding !== 'identity') throw new Error(`unknown content encoding`)
    const size = raw.length <= smallBytes ? 'small' : 'big'
    const text = decode === undefined ? raw : await decode[size](raw, { maxOutputLength: maxBytes })
    return text.length === 0 ? undefined : JSON.parse(text.toString('utf8'))
  } catch (cause) {
    throw new ServiceError('protocol', `${what}: the answer is no JSON`, { status: reply.status, cause })
  }
}
