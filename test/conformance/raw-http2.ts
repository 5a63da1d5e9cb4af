/**
 * The same requests over HTTP/2, to an emulator over TLS: what the form of HTTP/1.1 alone can say is left out.
 */

import { readFileSync } from 'node:fs'
import * as http2 from 'node:http2'
import { once } from 'node:events'
import type { TestEmulator } from '../emulator-server.ts'

export interface RawAnswer {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Record<string, string>
  /** As it came: not decompressed; chunks are joined. */
  readonly body: Buffer
  /** Whether the connection ended before the announced length. */
  readonly isCut: boolean
}

/** A connection to the emulator; the caller ends it. */
export async function connectHttp2(emulator: TestEmulator): Promise<http2.ClientHttp2Session> {
  const { origin } = new URL(emulator.endpoint)
  const connection = http2.connect(origin, { ca: readFileSync(emulator.certificatePath!) })
  connection.on('error', () => undefined)
  await once(connection, 'connect')
  return connection
}

export interface Stream {
  readonly stream: http2.ClientHttp2Stream
  /** Once the stream has ended in whatever way: undefined when it did without an answer. */
  readonly answer: Promise<RawAnswer | undefined>
}

/** Headers as `rawRequest` takes them; one that is null is left out. A body that is undefined is left open. */
export function openStream(
  connection: http2.ClientHttp2Session,
  method: string,
  target: string,
  headers: Readonly<Record<string, string | null>>,
  body: Buffer | undefined,
): Stream {
  const sent = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== null))
  const stream = connection.request({ ':method': method, ':path': target, ...sent }, { endStream: false })
  if (body !== undefined) stream.end(body)
  return { stream, answer: answerOf(stream) }
}

async function answerOf(stream: http2.ClientHttp2Stream): Promise<RawAnswer | undefined> {
  let answered: http2.IncomingHttpHeaders | undefined
  const received: Buffer[] = []
  stream.on('error', () => undefined)
  stream.once('response', (headers) => (answered = headers))
  stream.on('data', (chunk: Buffer) => received.push(chunk))
  await new Promise((resolve) => stream.once('close', resolve))
  if (answered === undefined) return undefined
  const body = Buffer.concat(received)
  const headers = Object.entries(answered).map(([name, value]) => [name, String(value)])
  return {
    status: Number(answered[':status']),
    headers: Object.fromEntries(headers) as Record<string, string>,
    body,
    isCut: answered['content-length'] !== undefined && body.length < Number(answered['content-length']),
  }
}

/** As `rawRequest`, on a connection of its own. */
export async function rawHttp2Request(
  emulator: TestEmulator,
  method: string,
  target: string,
  given: Readonly<Record<string, string | null>>,
  body: Buffer,
): Promise<RawAnswer | undefined> {
  const headers = { ...given, host: null, connection: null }
  const connection = await connectHttp2(emulator)
  /* HTTP/2 knows no request that ends before its announced length: it stays open until it is answered */
  const isWhole = Number(given['content-length'] ?? body.length) === body.length
  try {
    const { stream, answer } = openStream(connection, method, target, headers, isWhole ? body : undefined)
    if (!isWhole) stream.once('end', () => stream.close())
    return await answer
  } finally {
    connection.destroy()
  }
}
