/**
 * Upload and download of a file's content. Layer: emulator.
 *
 * Invariant: content of any size passes through without being held: only what is small goes in one piece,
 * which is quicker.
 */

import * as fs from 'node:fs'
import { basename } from 'node:path'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { sendJson, ServiceFailure } from '../envelope.ts'
import type { Home } from '../home.ts'
import { defaultValues } from '../../options/table.ts'
import { requirePath } from '../session-path.ts'
import { accessSession, type Query, type RouteGroup, type SessionParams, useSession } from './context.ts'

const smallBytes = 64 * 1024
const chunkBytes = 256 * 1024

const url = '/agents/:agent/endpoint/sessions/:session/files/content'

export const contentRoutes: RouteGroup = (app, context) => {
  const { gate, effects, store, options } = context
  const maxFileBytes = options.maxFileBytes ?? defaultValues().maxFileBytes

  void app.register((scope, _options, done) => {
    // Bodies stay in the socket: the handler takes them from there.
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', (_request, _payload, parsed) => parsed(null))

    scope.put<{ Params: SessionParams; Querystring: Query }>(
      url,
      { onRequest: gate.entry('upload') },
      async (request, reply) => {
        const session = useSession(context, request, request.params)
        const path = requirePath(request.query['path'])
        const arrived = await receive(request, session.home, maxFileBytes)
        const isStillPossible = (): boolean => store.find(session.record.agent, session.record.id) === session
        if (!isStillPossible()) accessSession(context, request, request.params)
        await effects.commit(request, {
          make: () => session.home.commit(arrived.file, path),
          exposePart: (bytes) => session.home.exposePart(arrived.file, path, bytes),
          isStillPossible,
        })
        return sendJson(request, reply, 201, {
          path,
          bytes_written: arrived.bytes,
          success: true,
          source_type: 'stream',
        })
      },
    )

    scope.get<{ Params: SessionParams; Querystring: Query }>(
      url,
      { onRequest: gate.entry('download') },
      (request, reply) => {
        const session = useSession(context, request, request.params)
        const path = requirePath(request.query['path'])
        const { fd, size } = session.home.open(path)
        const cap = options.downloadCapBytes ?? Infinity
        if (size > cap && options.downloadCapMode !== 'truncate') {
          fs.closeSync(fd)
          throw new ServiceFailure(500, 'server_error', 'The server had an error. Please try again.')
        }
        reply.header('content-disposition', disposition(basename(path)))
        return sendContent(reply, fd, Math.min(size, cap))
      },
    )
    done()
  })
}

/** The whole body in a file beside the home. Refused and broken uploads leave nothing. */
async function receive(
  request: FastifyRequest,
  home: Home,
  maxFileBytes: number,
): Promise<{ readonly file: string; readonly bytes: number }> {
  const body = request.raw
  const announced = Number(request.headers['content-length'] ?? NaN)
  if (announced > maxFileBytes) throw tooLarge(maxFileBytes)
  const file = home.incomingFile()
  if (announced <= smallBytes) {
    const chunks: Buffer[] = []
    for await (const chunk of body as AsyncIterable<Buffer>) chunks.push(chunk)
    fs.writeFileSync(file, chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks))
    return { file, bytes: announced }
  }
  let bytes = 0
  // What is too much is read all the same, for nothing: an answer before the end may never be seen.
  const bounded = new Transform({
    transform(chunk: Buffer, _encoding, next) {
      bytes += chunk.length
      if (bytes > maxFileBytes) next()
      else next(null, chunk)
    },
  })
  try {
    await pipeline(body, bounded, fs.createWriteStream(file, { highWaterMark: chunkBytes }))
    if (bytes > maxFileBytes) throw tooLarge(maxFileBytes)
  } catch (error) {
    home.discard(file)
    throw error
  }
  return { file, bytes }
}

function tooLarge(maxFileBytes: number): ServiceFailure {
  return new ServiceFailure(413, 'payload_too_large', `The file is larger than ${maxFileBytes} bytes.`)
}

/**
 * Exactly `size` bytes from the start, even if the agent goes on writing; the connection ends when it makes the file
 * shorter meanwhile. Closes the descriptor.
 */
function sendContent(reply: FastifyReply, fd: number, size: number): FastifyReply {
  reply.code(200).header('content-type', 'application/octet-stream')
  if (size > smallBytes) return reply.header('content-length', size).send(Readable.from(pieces(fd, size)))
  try {
    const content = Buffer.alloc(size)
    const length = fs.readSync(fd, content, 0, size, 0)
    return reply.header('content-length', length).send(content.subarray(0, length))
  } finally {
    fs.closeSync(fd)
  }
}

/** Both forms of the name: a plain one, and RFC 8187 for what that cannot say. */
function disposition(name: string): string {
  const plain = /^[\w.-]+$/.test(name) ? name : `"${name.replace(/[^\w .-]/g, '_')}"`
  const encoded = encodeURIComponent(name).replace(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return `attachment; filename=${plain}; filename*=UTF-8''${encoded}`
}

async function* pieces(fd: number, size: number): AsyncGenerator<Buffer, void, undefined> {
  const file = fs.createReadStream('', {
    fd,
    start: 0,
    end: size - 1,
    highWaterMark: chunkBytes,
    autoClose: true,
  })
  let sent = 0
  for await (const piece of file as AsyncIterable<Buffer>) {
    sent += piece.length
    yield piece
  }
  if (sent < size) throw new Error(`the file has become shorter while it was sent: ${sent} of ${size} bytes`)
}
