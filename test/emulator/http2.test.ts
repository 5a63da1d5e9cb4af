/** What is of HTTP/2 alone: a fault meets one stream, and the others of its connection go on. */

import * as fs from 'node:fs'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { constants } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { FaultRule } from '../../src/emulator/emulator.ts'
import { sessionPath } from '../conformance/raw-http.ts'
import { connectHttp2, openStream, type Stream } from '../conformance/raw-http2.ts'
import { agent, session, startTestEmulator } from '../emulator-server.ts'

const content = (path: string): string => `${sessionPath}/files/content?api-version=v1&path=${path}`
const internalError = constants.NGHTTP2_INTERNAL_ERROR

async function setup(t: Test, rule?: FaultRule) {
  const emulator = await startTestEmulator(t, { tls: true })
  fs.writeFileSync(join(emulator.home, 'f'), 'old')
  const connection = await connectHttp2(emulator)
  t.teardown(() => connection.destroy())
  if (rule !== undefined) emulator.fault(rule)
  const authorization = `Bearer ${emulator.token}`
  const send = (method: string, target: string, body = '', headers: Record<string, string> = {}): Stream =>
    openStream(connection, method, target, { authorization, ...headers }, Buffer.from(body))
  const isStillGood = async (): Promise<void> => {
    t.match(await send('GET', content('other')).answer, { status: 404 }, 'the connection goes on')
    t.notOk(connection.destroyed)
  }
  return { emulator, connection, authorization, send, isStillGood }
}

const untilTrue = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}

void t.test('who offers HTTP/2 gets it, and who does not HTTP/1.1, on the same port', async (t) => {
  const { emulator, connection } = await setup(t)
  t.equal(connection.alpnProtocol, 'h2')
  const request = httpsRequest(`${new URL(emulator.endpoint).origin}${content('f')}`, {
    ca: fs.readFileSync(emulator.certificatePath!),
    headers: { authorization: `Bearer ${emulator.token}` },
  }).end()
  const [answer] = (await once(request, 'response')) as [IncomingMessage]
  t.match(answer, { httpVersion: '1.1', statusCode: 200 })
  t.equal(Buffer.concat(await answer.toArray()).toString(), 'old')
})

void t.test('a reset is of its stream, before the change and after it', async (t) => {
  for (const [when, left] of [
    ['before-commit', 'old'],
    ['after-commit', 'new'],
  ] as const) {
    const { emulator, send, isStillGood } = await setup(t, { kind: 'reset', path: 'f', when })
    const { stream, answer } = send('PUT', content('f'), 'new')
    t.equal(await answer, undefined)
    t.equal(stream.rstCode, internalError)
    t.equal(fs.readFileSync(join(emulator.home, 'f'), 'utf8'), left)
    await isStillGood()
  }
})

void t.test('a partial upload is visible and its stream gone', async (t) => {
  const { emulator, send, isStillGood } = await setup(t, { kind: 'partial', verb: 'upload', bytes: 3 })
  t.equal(await send('PUT', content('f'), 'abcdef').answer, undefined)
  t.equal(fs.readFileSync(join(emulator.home, 'f'), 'utf8'), 'abc')
  await isStillGood()
})

void t.test('a cut body has all its bytes up to the cut, more than a window of them too', async (t) => {
  const { emulator, send, isStillGood } = await setup(t)
  fs.writeFileSync(join(emulator.home, 'f'), Buffer.alloc(1_000_000, 'x'))
  for (const afterBytes of [2, 700_000]) {
    emulator.fault({ kind: 'cut', verb: 'download', path: 'f', afterBytes, times: 1 })
    const { stream, answer } = send('GET', content('f'))
    const cut = await answer
    t.match(cut, { status: 200, headers: { 'content-length': '1000000' }, isCut: true })
    t.equal(cut?.body.length, afterBytes)
    t.equal(stream.rstCode, internalError)
  }
  await isStillGood()
})

void t.test('a stall keeps its stream only, until the far side gives it up', async (t) => {
  const { emulator, send, isStillGood } = await setup(t, { kind: 'stall', path: 'f', where: 'headers' })
  const stalled = send('PUT', content('f'), 'new')
  await untilTrue(() => emulator.counts().upload === 1)
  await isStillGood()
  emulator.clearFaults()
  emulator.fault({ kind: 'stall', path: 'f', where: 'body', afterBytes: 1, verb: 'download' })
  const { stream } = send('GET', content('f'))
  const [first] = (await once(stream, 'data')) as [Buffer]
  t.equal(first.toString(), 'o')
  await isStillGood()
  stream.close(constants.NGHTTP2_CANCEL)
  stalled.stream.close(constants.NGHTTP2_CANCEL)
  t.equal(await stalled.answer, undefined)
  t.equal(fs.readFileSync(join(emulator.home, 'f'), 'utf8'), 'old')
})

void t.test('an upload whose stream is reset leaves the file as it was', async (t) => {
  const { emulator, connection, authorization, isStillGood } = await setup(t)
  const incoming = join(emulator.home, '..', 'incoming')
  for (const length of [1000, 1_000_000]) {
    const headers = { authorization, 'content-length': String(length) }
    const { stream, answer } = openStream(connection, 'PUT', content('f'), headers, undefined)
    stream.write('part')
    if (length > 65_536) await untilTrue(() => fs.readdirSync(incoming).length > 0)
    stream.close(constants.NGHTTP2_CANCEL)
    t.equal(await answer, undefined)
  }
  await isStillGood()
  t.equal(fs.readFileSync(join(emulator.home, 'f'), 'utf8'), 'old')
  await untilTrue(() => fs.readdirSync(incoming).length === 0)
})

void t.test('more bytes than a window are taken as they come', async (t) => {
  const { emulator, connection, authorization } = await setup(t)
  const { stream, answer } = openStream(connection, 'PUT', content('big'), { authorization }, undefined)
  const piece = Buffer.alloc(300_000, 'y')
  for (let index = 0; index < 10; index++) if (!stream.write(piece)) await once(stream, 'drain')
  stream.end()
  t.match(await answer, { status: 201 })
  t.equal(fs.statSync(join(emulator.home, 'big')).size, 3_000_000)
})

void t.test('log streams share a connection, and are ended or reset each by itself', async (t) => {
  const { emulator, send, isStillGood } = await setup(t)
  const target = `/api/projects/demo/agents/${agent}/sessions/${session}:logstream?api-version=v1`
  const [one, two] = [send('GET', target), send('GET', target)]
  await Promise.all([once(one.stream, 'data'), once(two.stream, 'data')])
  emulator.appendLog(agent, session, ['hello'])
  emulator.closeLogStreams()
  for (const { answer } of [one, two]) {
    const ended = await answer
    t.equal(ended?.status, 200)
    t.match(ended?.body.toString(), 'hello')
  }
  t.equal(one.stream.rstCode, constants.NGHTTP2_NO_ERROR)
  const three = send('GET', target)
  await once(three.stream, 'data')
  emulator.closeLogStreams({ reset: true })
  await three.answer
  t.equal(three.stream.rstCode, internalError)
  await isStillGood()
})
