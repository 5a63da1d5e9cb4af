/**
 * Answers that nobody should give: each call ends all the same, well or with a `ServiceError`.
 */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { ServiceError } from '../../src/client/errors.ts'
import { sessionFiles } from '../../src/client/remote-files.ts'
import { SessionClient } from '../../src/client/session-client.ts'
import { isFileName } from '../../src/client/wire.ts'
import { FakeClock } from '../fake-clock.ts'

/** Whoever asks gets `answer` as it stands, and the connection is closed. */
async function setup(t: Test) {
  const state = { answer: Buffer.alloc(0) as Uint8Array }
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('data', () => socket.end(state.answer))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/p`
  const client = new SessionClient({
    endpoint,
    credential: { token: 'secret' },
    retry: { attempts: 1 },
    clock: new FakeClock(),
  })
  t.teardown(async () => {
    await client.close()
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { state, client, files: sessionFiles(client, 'a', 'session-1') }
}

async function drain<T>(all: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const each of all) found.push(each)
  return found
}

type Setup = Awaited<ReturnType<typeof setup>>

const calls: Readonly<Record<string, (of: Setup) => Promise<unknown>>> = {
  list: ({ files }) => drain(files.list('d')),
  download: async ({ files }) => drain((await files.download('f')).body),
  upload: ({ files }) => files.upload('f', Buffer.from('content')),
  remove: ({ files }) => files.remove('f'),
  makeDirectory: ({ files }) => files.makeDirectory('d'),
  getSession: ({ client }) => client.getSession('a', 'session-1'),
  listSessions: ({ client }) => drain(client.listSessions('a')),
  logStream: async ({ client }) => drain((await client.getSessionLogStream('a', 'session-1')).body),
}

async function endsWell(call: Promise<unknown>): Promise<boolean> {
  try {
    await call
    return true
  } catch (error) {
    return error instanceof ServiceError && !error.message.includes('secret')
  }
}

const http = (status: number, headers: readonly string[], body: Uint8Array): Uint8Array =>
  Buffer.concat([Buffer.from([`HTTP/1.1 ${status} X`, ...headers, '', ''].join('\r\n'), 'latin1'), body])

const header = fc.constantFrom(
  ...['content-type: text/html', 'content-type: application/json', 'content-encoding: gzip'],
  ...['content-encoding: br', 'content-encoding: none', 'content-length: 5', 'content-length: -1'],
  ...['content-length: 99999999999999999999', 'transfer-encoding: chunked', 'retry-after: 9e99', 'date: x'],
  ...['retry-after: Thu, 01 Jan 9999 00:00:00 GMT', 'content-length: 7', ': ', 'x', 'connection: upgrade'],
  ...['retry-after: 99999999999999999999', 'content-type: text/event-stream', `x: ${'y'.repeat(20_000)}`],
)
const status = fc.constantFrom(
  100,
  101,
  200,
  201,
  202,
  204,
  206,
  301,
  304,
  400,
  401,
  404,
  409,
  429,
  500,
  999,
  0,
)
const body = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.json().map((text) => Buffer.from(text)),
  fc.json().map((text) => gzipSync(text)),
  fc.constant(Buffer.from('['.repeat(100_000))),
  fc.constant(Buffer.from('5\r\nabcde\r\n0\r\n\r\n')),
  fc.constant(gzipSync(Buffer.alloc(40_000_000))),
)
const answer = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.tuple(status, fc.array(header, { maxLength: 4 }), body).map((parts) => http(...parts)),
)

for (const [name, call] of Object.entries(calls)) {
  void t.test(`${name} ends, whatever the answer is`, async (t) => {
    const given = await setup(t)
    await fc.assert(
      fc.asyncProperty(answer, async (bytes) => {
        given.state.answer = bytes
        return await endsWell(call(given))
      }),
      { numRuns: 60 },
    )
    t.match(given.client.load, { reads: { running: 0 }, questions: { running: 0 }, writes: { running: 0 } })
  })
}

const anything = fc
  .anything({ maxDepth: 2 })
  .filter((value) => (JSON.stringify(value) as string | undefined) !== undefined)
const field = <T>(value: fc.Arbitrary<T>) => fc.oneof(value, anything)
const entry = fc.record(
  {
    name: field(fc.oneof(fc.string(), fc.constantFrom('..', 'a/b', '\0', 'x'.repeat(300), '\ud800'))),
    size: field(fc.constantFrom(0, 5, -1, 1.5, 1e300, '12')),
    is_directory: field(fc.boolean()),
    modified_time: field(fc.oneof(fc.double(), fc.constantFrom(1e300, -1, 'yesterday', '2026-01-01'))),
  },
  { requiredKeys: [] },
)
const listing = fc.record(
  { entries: field(fc.array(field(entry))), has_more: field(fc.constant(false)), last_id: anything },
  { requiredKeys: [] },
)

void t.test(
  'a listing gives names that a directory can have and numbers that are some, or fails',
  async (t) => {
    const given = await setup(t)
    await fc.assert(
      fc.asyncProperty(listing, async (value) => {
        given.state.answer = http(200, [], Buffer.from(JSON.stringify(value, (_, each: unknown) => each)))
        try {
          const entries = (await drain(given.files.list('d'))).flat()
          return entries.every(
            ({ name, size, modifiedSeconds, isDirectory }) =>
              isFileName(name) &&
              Number.isSafeInteger(size) &&
              size >= 0 &&
              Number.isFinite(modifiedSeconds) &&
              typeof isDirectory === 'boolean',
          )
        } catch (error) {
          return error instanceof ServiceError
        }
      }),
      { numRuns: 300 },
    )
    t.pass()
  },
)
