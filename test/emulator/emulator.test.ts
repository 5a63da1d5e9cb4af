import { X509Certificate } from 'node:crypto'
import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { agent, files, session, startTestEmulator } from '../emulator-server.ts'
import { FakeClock } from '../fake-clock.ts'
import { call } from './service-call.ts'

void t.test(
  'another emulator on the same directory has the same agents, sessions, files and console',
  async (t) => {
    const data = t.testdir()
    const first = await startEmulator({ data, seed: [{ agent, session }], tls: true })
    fs.writeFileSync(join(first.filesDirectory(agent, session), 'kept'), 'hello')
    first.appendLog(agent, session, 'said before')
    first.sleepSession(agent, session)
    const certificate = fs.readFileSync(first.certificatePath!, 'utf8')
    await first.close()

    const second = await startTestEmulator(t, { data, seed: [] })
    t.match(await call(second, 'GET', ''), { status: 200, json: { status: 'idle' } })
    t.same(files(second), { kept: Buffer.from('hello') })
    const { text } = await call(second, 'GET', '/files/content?path=kept')
    t.equal(text, 'hello')
    const log = await call(
      second,
      'GET',
      `${second.endpoint}/agents/${agent}/sessions/${session}:logstream?follow=false`,
    )
    t.match(log.text, 'said before')
    t.equal(fs.readFileSync(join(data, 'tls/certificate.pem'), 'utf8'), certificate)
  },
)

void t.test('the key of the certificate is for its owner alone', async (t) => {
  const emulator = await startTestEmulator(t, { tls: true })
  t.match(emulator.endpoint, /^https:\/\/127\.0\.0\.1:\d+\/api\/projects\/demo$/)
  t.equal(fs.statSync(join(emulator.data, 'tls/key.pem')).mode & 0o777, 0o600)
})

void t.test(
  'the certificate is for the address that is listened at, and is made anew for another',
  async (t) => {
    const data = t.testdir()
    const named = async (host: string): Promise<X509Certificate> => {
      const emulator = await startEmulator({ data, host, tls: true })
      await emulator.close()
      return new X509Certificate(fs.readFileSync(emulator.certificatePath!))
    }
    const loopback = await named('127.0.0.1')
    t.equal(loopback.checkIP('127.0.0.2'), undefined)
    const other = await named('127.0.0.2')
    t.equal(other.checkIP('127.0.0.2'), '127.0.0.2')
    t.equal(other.checkIP('127.0.0.1'), '127.0.0.1')
    t.equal(other.checkHost('localhost'), 'localhost')
    t.equal((await named('127.0.0.1')).fingerprint256, other.fingerprint256)
  },
)

void t.test('a seeded session has a workspace once', async (t) => {
  const data = t.testdir()
  const options = { data, seed: [{ agent, session }], seedFiles: true }
  const first = await startEmulator(options)
  const home = first.filesDirectory(agent, session)
  t.ok(fs.existsSync(join(home, 'agent/main.py')))
  t.ok(fs.existsSync(join(home, '.bashrc')))
  fs.rmSync(join(home, 'README.md'))
  await first.close()
  const second = await startEmulator(options)
  t.notOk(fs.existsSync(join(home, 'README.md')), 'what was deleted stays so')
  await second.close()
})

void t.test('what a crash left half received is thrown away', async (t) => {
  const data = t.testdir()
  const first = await startEmulator({ data, seed: [{ agent, session }] })
  const incoming = join(first.filesDirectory(agent, session), '../incoming')
  await first.close()
  fs.writeFileSync(join(incoming, 'half'), 'x')
  const second = await startEmulator({ data })
  t.same(fs.readdirSync(incoming), [])
  await second.close()
})

void t.test('calls are counted by verb and status, and listed with their paths', async (t) => {
  const emulator = await startTestEmulator(t)
  await call(emulator, 'PUT', '/files/content?path=%2Fa%2Fb', { body: 'x' })
  await call(emulator, 'GET', '/files?path=a')
  await call(emulator, 'GET', '/files/content?path=missing')
  t.match(emulator.counts(), { upload: 1, list: 1, download: 1, delete: 0, logStream: 0 })
  t.same(emulator.statuses(), { 200: 1, 201: 1, 404: 1 })
  t.match(emulator.calls(), [
    { verb: 'upload', path: 'a/b', status: 201 },
    { verb: 'list', path: 'a', status: 200 },
    { verb: 'download', path: 'missing', status: 404 },
  ])
  emulator.resetCounts()
  t.equal(emulator.counts().upload, 0)
  t.same(emulator.statuses(), {})
  t.same(emulator.calls(), [])
})

void t.test('with opaque cursors in a shuffled order every entry is still listed once', async (t) => {
  const emulator = await startTestEmulator(t, { listOrder: 'shuffled', cursor: 'opaque', pageSize: 3 })
  const names = Array.from({ length: 10 }, (_, index) => `name ${index}`)
  for (const name of names) fs.writeFileSync(join(emulator.home, name), '')
  const listed: string[] = []
  let after = ''
  for (let page = 0; page < 4; page++) {
    const { json } = await call(emulator, 'GET', `/files?limit=100${after && `&after=${after}`}`)
    const { entries, last_id } = json as { entries: { name: string }[]; last_id?: string }
    listed.push(...entries.map(({ name }) => name))
    t.notOk(names.includes(last_id ?? ''))
    after = last_id ?? ''
  }
  t.equal(after, '')
  t.not(listed.join(), names.join())
  t.same([...listed].sort(), names)
})

void t.test('times are real when asked for', async (t) => {
  const emulator = await startTestEmulator(t, { modifiedTime: 'real' })
  fs.writeFileSync(join(emulator.home, 'f'), '')
  fs.utimesSync(join(emulator.home, 'f'), 1000, 1234567)
  t.match((await call(emulator, 'GET', '/files')).json, { entries: [{ name: 'f', modified_time: 1234567 }] })
})

void t.test('a capped download fails, or looks complete', async (t) => {
  const options = { downloadCapBytes: 10, maxFileBytes: 100 }
  const failing = await startTestEmulator(t, options)
  await call(failing, 'PUT', '/files/content?path=f', { body: '0123456789ab' })
  t.match(await call(failing, 'GET', '/files/content?path=f'), {
    status: 500,
    json: { error: { code: 'server_error' } },
  })
  const cutting = await startTestEmulator(t, { ...options, downloadCapMode: 'truncate' })
  await call(cutting, 'PUT', '/files/content?path=f', { body: '0123456789ab' })
  t.match(await call(cutting, 'GET', '/files/content?path=f'), { status: 200, text: '0123456789' })
})

void t.test('latency passes before a request does anything', async (t) => {
  const clock = new FakeClock()
  const emulator = await startTestEmulator(t, { clock, latencyMs: 300 })
  const answer = call(emulator, 'PUT', '/files/content?path=f', { body: 'x' })
  await clock.untilWaiting(1)
  clock.advance(299)
  t.same(files(emulator), {})
  clock.advance(1)
  t.equal((await answer).status, 201)
})

void t.test('a heartbeat speaks on the console of the seeded sessions', async (t) => {
  const clock = new FakeClock()
  const emulator = await startTestEmulator(t, { clock, heartbeatMs: 1000 })
  clock.advance(3000)
  const console = fs.readFileSync(join(emulator.home, '../console.log'), 'utf8')
  t.equal(console.match(/heartbeat/g)?.length, 3)
})

void t.test('closing ends log streams and held requests', async (t) => {
  const emulator = await startEmulator({ data: t.testdir(), seed: [{ agent, session }] })
  const hold = emulator.hold({ verb: 'list' })
  const held = call(emulator, 'GET', '/files').catch(() => 'ended')
  await hold.reached
  const log = call(emulator, 'GET', `${emulator.endpoint}/agents/${agent}/sessions/${session}:logstream`)
  while (emulator.calls().find(({ verb }) => verb === 'logStream')?.status !== 200) {
    await new Promise((resolve) => setImmediate(resolve))
  }
  await emulator.close()
  await log.catch(() => undefined)
  await held
})

void t.test('an address in use, or a data path that is a file, is an error', async (t) => {
  const emulator = await startTestEmulator(t)
  const port = Number(new URL(emulator.endpoint).port)
  await t.rejects(startEmulator({ data: t.testdir(), port }), { code: 'EADDRINUSE' })
  await t.rejects(startEmulator({ data: join(t.testdir({ file: '' }), 'file') }), { code: 'EEXIST' })
})

void t.test(
  'a file that becomes shorter while it is sent ends the connection, instead of leaving it open',
  async (t) => {
    const emulator = await startTestEmulator(t)
    const size = 64 * 1024 * 1024
    const file = join(emulator.home, 'shrinking')
    fs.writeFileSync(file, Buffer.alloc(size))
    const url = `${emulator.endpoint}/agents/${agent}/endpoint/sessions/${session}/files/content?api-version=v1&path=shrinking`
    const { body } = await fetch(url, { headers: { authorization: `Bearer ${emulator.token}` } })
    const reader = body?.getReader()
    await reader?.read()
    /* far more is on its way than any buffer holds */
    fs.truncateSync(file, 1000)
    const read = async (): Promise<void> => {
      while ((await reader?.read())?.done === false);
    }
    await t.rejects(read())
  },
)
