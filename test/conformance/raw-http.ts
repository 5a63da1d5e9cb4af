/**
 * Requests written out byte by byte and answers read likewise, so that no client smooths anything over.
 */

import * as net from 'node:net'
import { agent, session, type TestEmulator } from '../emulator-server.ts'
import { rawHttp2Request, type RawAnswer } from './raw-http2.ts'

/** The session's resource below the endpoint, as in a request line. */
export const sessionPath = `/api/projects/demo/agents/${agent}/endpoint/sessions/${session}`

/**
 * Sends `METHOD TARGET` and returns the answer, or undefined when the connection ends without one. The token,
 * `Host` and `Connection: close` are added unless `headers` has them; null leaves a header out. An emulator
 * over TLS is spoken to in HTTP/2.
 */
export async function rawRequest(
  emulator: TestEmulator,
  method: string,
  target: string,
  headers: Record<string, string | null> = {},
  body: string | Buffer = '',
): Promise<RawAnswer | undefined> {
  const all: Record<string, string | null> = {
    host: 'emulator',
    authorization: `Bearer ${emulator.token}`,
    connection: 'close',
    ...(body.length > 0 ? { 'content-length': String(Buffer.byteLength(body)) } : {}),
    ...headers,
  }
  if (emulator.certificatePath !== undefined) {
    const given = Buffer.from(body)
    const { 'transfer-encoding': encoding = null, ...rest } = all
    return rawHttp2Request(emulator, method, target, rest, encoding === 'chunked' ? joinChunks(given) : given)
  }
  const lines = Object.entries(all).flatMap(([name, value]) =>
    value === null ? [] : [`${name}: ${value}\r\n`],
  )
  const socket = net.connect(Number(new URL(emulator.endpoint).port), '127.0.0.1')
  socket.on('error', () => undefined)
  socket.write(`${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n`)
  socket.write(body)
  const received: Buffer[] = []
  socket.on('data', (chunk) => received.push(chunk))
  await new Promise((resolve) => socket.once('close', resolve))
  return parse(Buffer.concat(received))
}

function parse(bytes: Buffer): RawAnswer | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const [statusLine = '', ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n')
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)]),
  )
  const rest = bytes.subarray(end + 4)
  const body = headers['transfer-encoding'] === 'chunked' ? joinChunks(rest) : rest
  return {
    status: Number(statusLine.split(' ')[1]),
    headers,
    body,
    isCut: headers['content-length'] !== undefined && body.length < Number(headers['content-length']),
  }
}

function joinChunks(bytes: Buffer): Buffer {
  const chunks: Buffer[] = []
  let at = 0
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    const size = parseInt(bytes.subarray(at, lineEnd).toString('latin1'), 16)
    if (lineEnd < 0 || !(size > 0)) return Buffer.concat(chunks)
    chunks.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size))
    at = lineEnd + 2 + size + 2
  }
}
