import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { json, ScriptedService, status } from './scripted-service.ts'

const [agent, session] = ['my-agent', 'session-1']

// eslint-disable-next-line @typescript-eslint/require-await
async function* stream(...pieces: string[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) yield Buffer.from(piece)
}

void t.test('bytes, a file and a stream arrive as they are, with their length', async (t) => {
  const service = (await ScriptedService.start(t)).otherwise(json(201, {}))
  const client = service.client(t)
  const large = Buffer.alloc(3_000_001, 'abcdefghijk')
  const file = join(t.testdir(), 'large')
  writeFileSync(file, large)
  await client.uploadSessionFile(agent, session, 'f', large)
  await client.uploadSessionFile(agent, session, 'f', { file, size: large.length })
  await client.uploadSessionFile(agent, session, 'f', { file, size: 1000 })
  await client.uploadSessionFile(agent, session, 'f', { stream: stream('one', '', 'two'), size: 6 })
  await client.uploadSessionFile(agent, session, 'f', new Uint8Array(0))
  await client.uploadSessionFile(agent, session, 'f', { file, size: 0 })
  const expected = [
    large,
    large,
    large.subarray(0, 1000),
    Buffer.from('onetwo'),
    Buffer.alloc(0),
    Buffer.alloc(0),
  ]
  for (const [index, bytes] of expected.entries()) {
    t.ok(service.asked[index]!.body.equals(bytes), `upload ${index}`)
    t.equal(service.asked[index]!.headers['content-length'], String(bytes.length))
    t.equal(service.asked[index]!.headers['transfer-encoding'], undefined)
  }
})

void t.test('over the limit nothing is sent, and a refusal for size is the same error', async (t) => {
  const service = (await ScriptedService.start(t)).otherwise(status(413))
  const client = service.client(t, { maxFileBytes: 10 })
  await t.rejects(client.uploadSessionFile(agent, session, 'f', Buffer.alloc(11)), {
    code: 'too_large',
    status: undefined,
  })
  await t.rejects(client.uploadSessionFile(agent, session, 'f', { file: '/nowhere', size: 11 }), {
    code: 'too_large',
  })
  await t.rejects(client.uploadSessionFile(agent, session, 'f', { stream: stream(), size: 11 }), {
    code: 'too_large',
  })
  t.equal(service.asked.length, 0)
  await t.rejects(client.uploadSessionFile(agent, session, 'f', Buffer.alloc(10)), {
    code: 'too_large',
    status: 413,
  })
  t.equal(service.asked.length, 1)
})

void t.test('a file that is too short or not there is seen before a byte is sent', async (t) => {
  const service = (await ScriptedService.start(t)).otherwise(json(201, {}))
  const client = service.client(t)
  const file = join(t.testdir(), 'short')
  writeFileSync(file, 'four')
  const short = client.uploadSessionFile(agent, session, 'f', { file, size: 5 })
  await t.rejects(short, { code: 'bad_request', ambiguous: false, message: /has 4 bytes, not the 5/ })
  const missing = client.uploadSessionFile(agent, session, 'f', { file: `${file}-not`, size: 5 })
  await t.rejects(missing, { code: 'bad_request', ambiguous: false })
  t.equal(service.asked.length, 0)
})

void t.test('a file without a size is sent as large as it is', async (t) => {
  const service = (await ScriptedService.start(t)).otherwise(json(201, {}))
  const client = service.client(t, { maxFileBytes: 10 })
  const directory = t.testdir({ file: 'content', empty: '', large: 'eleven bytes' })
  t.match(await client.uploadSessionFile(agent, session, 'f', { file: join(directory, 'file') }), {
    bytesWritten: 7,
  })
  await client.uploadSessionFile(agent, session, 'f', { file: join(directory, 'empty') })
  t.strictSame(
    service.asked.map(({ body, headers }) => [body.toString(), headers['content-length']]),
    [
      ['content', '7'],
      ['', '0'],
    ],
  )
  const large = client.uploadSessionFile(agent, session, 'f', { file: join(directory, 'large') })
  await t.rejects(large, { code: 'too_large', status: undefined })
  t.equal(service.asked.length, 2)
})

void t.test('what is no file is no source, and nothing waits for it', async (t) => {
  const service = (await ScriptedService.start(t)).otherwise(json(201, {}))
  const client = service.client(t)
  const directory = t.testdir()
  execFileSync('mkfifo', [join(directory, 'fifo')])
  for (const file of [directory, join(directory, 'fifo'), '/dev/null', join(directory, 'missing')])
    for (const source of [{ file }, { file, size: 0 }]) {
      const upload = client.uploadSessionFile(agent, session, 'f', source)
      await t.rejects(upload, { code: 'bad_request', retryable: false, ambiguous: false }, file)
    }
  t.equal(service.asked.length, 0)
})

void t.test('a stream of another length than announced fails, and is not completed', async (t) => {
  const service = (await ScriptedService.start(t)).otherwise(json(201, {}))
  const client = service.client(t)
  const short = client.uploadSessionFile(agent, session, 'f', { stream: stream('one'), size: 5 })
  await t.rejects(short, { code: 'bad_request', ambiguous: true })
  const long = client.uploadSessionFile(agent, session, 'f', { stream: stream('one', 'two'), size: 5 })
  await t.rejects(long, { code: 'bad_request', ambiguous: true })
  t.equal(service.asked.length, 0)
})

void t.test('a stream is sent once', async (t) => {
  const service = (await ScriptedService.start(t)).otherwise(status(503))
  const upload = service.client(t).uploadSessionFile(agent, session, 'f', { stream: stream('one'), size: 3 })
  await t.rejects(upload, { code: 'server_error' })
  t.equal(service.asked.length, 1)
})

void t.test('what is no regular file is not sent, and not tried again', async (t) => {
  const service = (await ScriptedService.start(t)).otherwise(json(201, {}))
  const client = service.client(t)
  const directory = t.testdir()
  const pipe = join(directory, 'pipe')
  execFileSync('mkfifo', [pipe])
  for (const file of [directory, pipe, '/dev/zero', join(directory, 'no/such')]) {
    const upload = client.uploadSessionFile(agent, session, 'f', { file, size: 5 })
    await t.rejects(upload, { code: 'bad_request', ambiguous: false, retryable: false }, file)
  }
  t.equal(service.asked.length, 0)
})

void t.test('a local failure while it is sent is no failure of the network', async (t) => {
  const service = (await ScriptedService.start(t)).otherwise(json(201, {}))
  const client = service.client(t)
  const cause = new Error('the disk has gone')
  // eslint-disable-next-line @typescript-eslint/require-await
  const broken = async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.from('one')
    throw cause
  }
  const upload = client.uploadSessionFile(agent, session, 'f', { stream: broken(), size: 6 })
  await t.rejects(upload, { code: 'local', retryable: false, ambiguous: true, cause })
  const refusing = { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(cause) }) }
  const nothing = client.uploadSessionFile(agent, session, 'f', { stream: refusing, size: 6 })
  await t.rejects(nothing, { code: 'local', retryable: false, cause })
  t.equal(client.load.writes.running, 0)
})

void t.test('a stream that is left early is told', async (t) => {
  const service = (await ScriptedService.start(t)).otherwise(json(201, {}))
  let left = false
  const long = async function* (): AsyncGenerator<Uint8Array> {
    try {
      for (;;) yield await Promise.resolve(Buffer.from('three'))
    } finally {
      left = true
    }
  }
  const upload = service.client(t).uploadSessionFile(agent, session, 'f', { stream: long(), size: 7 })
  await t.rejects(upload, { code: 'bad_request' })
  t.ok(left)
})

void t.test('a connection outlives the upload of a file', async (t) => {
  const service = (await ScriptedService.start(t)).otherwise(json(201, {}))
  const client = service.client(t)
  const file = join(t.testdir(), 'file')
  writeFileSync(file, 'content')
  for (let round = 0; round < 20; round++)
    await client.uploadSessionFile(agent, session, 'f', { file, size: 7 })
  t.equal(service.connections, 1)
})
