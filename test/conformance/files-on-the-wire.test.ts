/** What the emulator believes about file calls, byte by byte. */

import * as fs from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import type { EmulatorOptions } from '../../src/emulator/emulator.ts'
import { files, startTestEmulator } from '../emulator-server.ts'
import { overEachProtocol, protocolOf } from './each-protocol.ts'
import { rawRequest, sessionPath } from './raw-http.ts'

const list = (query = ''): string => `${sessionPath}/files?api-version=v1${query}`
const content = (path: string): string => `${sessionPath}/files/content?api-version=v1&path=${path}`

async function setup(t: Test, options: Partial<EmulatorOptions> = {}) {
  const emulator = await startTestEmulator(t, { ...protocolOf(t), ...options })
  const request = async (
    method: string,
    target: string,
    headers?: Record<string, string | null>,
    body?: string | Buffer,
  ) => {
    const answer = await rawRequest(emulator, method, target, headers, body)
    t.ok(answer, `${method} ${target} is answered`)
    return answer!
  }
  const statusOf = async (...call: Parameters<typeof request>) => (await request(...call)).status
  return { emulator, home: emulator.home, request, statusOf }
}

const json = (answer: { readonly body: Buffer }): unknown => JSON.parse(answer.body.toString())

overEachProtocol(
  'an upload answers 201 with the path without its slash, for a new and an old file',
  async (t) => {
    const { emulator, request } = await setup(t)
    for (const body of ['first', 'the second']) {
      const answer = await request('PUT', content('%2Fsandbox%2Fhello.txt'), {}, body)
      t.equal(answer.status, 201)
      t.same(json(answer), {
        path: 'sandbox/hello.txt',
        bytes_written: body.length,
        success: true,
        source_type: 'stream',
      })
      t.same(files(emulator), { sandbox: null, 'sandbox/hello.txt': Buffer.from(body) })
    }
  },
)

overEachProtocol('an upload may come in chunks, without a type, and empty', async (t) => {
  const { emulator, statusOf } = await setup(t)
  const chunked = { 'transfer-encoding': 'chunked', 'content-length': null }
  t.equal(await statusOf('PUT', content('chunked'), chunked, '5\r\nhello\r\n0\r\n\r\n'), 201)
  t.equal(await statusOf('PUT', content('typed'), { 'content-type': 'text/plain; charset=x' }, 'abc'), 201)
  t.equal(await statusOf('PUT', content('empty'), { 'content-length': '0' }), 201)
  t.equal(await statusOf('PUT', content('nothing')), 201)
  t.same(files(emulator), {
    chunked: Buffer.from('hello'),
    typed: Buffer.from('abc'),
    empty: Buffer.alloc(0),
    nothing: Buffer.alloc(0),
  })
})

overEachProtocol(
  'a download has its length and both forms of its name, and is never compressed',
  async (t) => {
    const { home, request } = await setup(t)
    fs.writeFileSync(join(home, 'hello.txt'), 'x'.repeat(1000))
    const answer = await request('GET', content('hello.txt'), { 'accept-encoding': 'gzip,deflate' })
    t.equal(answer.status, 200)
    t.match(answer.headers, {
      'content-type': 'application/octet-stream',
      'content-length': '1000',
      'content-disposition': "attachment; filename=hello.txt; filename*=UTF-8''hello.txt",
    })
    for (const absent of [
      'content-encoding',
      'transfer-encoding',
      'etag',
      'last-modified',
      'accept-ranges',
    ]) {
      t.notOk(absent in answer.headers, `no ${absent}`)
    }
    t.equal(answer.body.toString(), 'x'.repeat(1000))
    const ranged = await request('GET', content('hello.txt'), { range: 'bytes=0-9' })
    t.match(ranged, { status: 200, headers: { 'content-length': '1000' } }, 'ranges are not known')

    fs.writeFileSync(join(home, "né w'.txt"), '')
    const named = await request('GET', content('n%C3%A9%20w%27.txt'))
    t.equal(
      named.headers['content-disposition'],
      `attachment; filename="n_ w_.txt"; filename*=UTF-8''n%C3%A9%20w%27.txt`,
    )
  },
)

overEachProtocol('big content passes both ways whole', async (t) => {
  const { home, request } = await setup(t)
  const big = Buffer.alloc(5_000_000, 'abcdefg')
  t.equal((await request('PUT', content('big'), {}, big)).status, 201)
  t.ok(fs.readFileSync(join(home, 'big')).equals(big))
  t.ok((await request('GET', content('big'))).body.equals(big))
})

overEachProtocol('a listing shows name, size, kind and time, and no cursor on its last page', async (t) => {
  const { home, request } = await setup(t)
  fs.writeFileSync(join(home, 'b'), 'hello')
  fs.mkdirSync(join(home, 'a'))
  fs.writeFileSync(join(home, 'a', 'inside'), '')
  const answer = await request('GET', list())
  t.equal(answer.headers['content-type'], 'application/json; charset=utf-8')
  t.same(json(answer), {
    path: '.',
    entries: [
      { name: 'a', size: 4096, is_directory: true, modified_time: 0 },
      { name: 'b', size: 5, is_directory: false, modified_time: 0 },
    ],
    has_more: false,
  })
  for (const root of ['.', '/', '%2F', './/.']) {
    t.same(json(await request('GET', list(`&path=${root}`))), json(answer))
  }
  t.match(json(await request('GET', list('&path=%2Fa%2F'))), { path: 'a', entries: [{ name: 'inside' }] })
})

overEachProtocol('links show what they lead to, and themselves when that is missing', async (t) => {
  const { home, request } = await setup(t)
  fs.writeFileSync(join(home, 'target'), 'hello')
  fs.symlinkSync('target', join(home, 'link'))
  fs.symlinkSync('missing', join(home, 'dangling'))
  t.match(json(await request('GET', list())), {
    entries: [{ name: 'dangling', size: 7 }, { name: 'link', size: 5 }, { name: 'target' }],
  })
  t.equal((await request('GET', content('link'))).body.toString(), 'hello')
  t.equal((await request('GET', content('dangling'))).status, 404)
})

overEachProtocol('pages are cut by limit, in either order, from either side', async (t) => {
  const { home, request, statusOf } = await setup(t)
  for (const name of 'abcdefg') fs.writeFileSync(join(home, name), '')
  const page = async (query: string) => {
    const body = json(await request('GET', list(query))) as {
      entries: { name: string }[]
      first_id?: string
      last_id?: string
      has_more: boolean
    }
    return [body.entries.map(({ name }) => name).join(''), body.has_more, body.first_id, body.last_id]
  }
  t.same(await page('&limit=3'), ['abc', true, 'a', 'c'])
  t.same(await page('&limit=3&after=c'), ['def', true, 'd', 'f'])
  t.same(await page('&limit=3&after=f'), ['g', false, undefined, undefined])
  t.same(await page('&limit=3&order=desc'), ['gfe', true, 'g', 'e'])
  t.same(await page('&limit=3&order=desc&after=e'), ['dcb', true, 'd', 'b'])
  t.same(await page('&limit=2&before=e'), ['cd', true, 'c', 'd'])
  fs.unlinkSync(join(home, 'c'))
  t.same(await page('&limit=3&after=c'), ['def', true, 'd', 'f'], 'a cursor outlives its entry')
  t.same(await page('&limit=3&after=zzz'), ['', false, undefined, undefined])
  t.same(await page('&limit=3&before=a'), ['', false, undefined, undefined])
  t.same(await page('&limit=3&after=%00'), ['abd', true, 'a', 'd'], 'a place, whatever was ever there')
  fs.mkdirSync(join(home, 'g2'))
  for (const name of 'cg') fs.writeFileSync(join(home, 'g2', name), '')
  t.same(await page('&path=g2&after=c'), ['g', false, undefined, undefined], 'in any directory')
  for (const bad of ['limit=0', 'limit=101', 'limit=x', 'limit=1.5', 'order=up']) {
    t.equal(await statusOf('GET', list(`&${bad}`)), 400, bad)
  }
})

overEachProtocol('without a limit a page has 20 entries; 100 is the most', async (t) => {
  const { home, request } = await setup(t)
  for (let index = 0; index < 101; index++) fs.writeFileSync(join(home, `f${index}`), '')
  const length = async (query: string) =>
    (json(await request('GET', list(query))) as { entries: unknown[] }).entries.length
  t.equal(await length(''), 20)
  t.equal(await length('&limit=100'), 100)
})

overEachProtocol('JSON is compressed for who accepts it', async (t) => {
  const { home, request } = await setup(t)
  for (let index = 0; index < 20; index++) fs.writeFileSync(join(home, `file-${index}`), '')
  const plain = await request('GET', list())
  t.notOk('content-encoding' in plain.headers)
  const packed = await request('GET', list(), { 'accept-encoding': 'gzip,deflate' })
  t.match(packed.headers, { 'content-encoding': 'gzip', vary: 'Accept-Encoding' })
  t.same(gunzipSync(packed.body), plain.body)
})

overEachProtocol('in a query a plus is a space, and everything else is percent-encoded', async (t) => {
  const { emulator, statusOf } = await setup(t)
  for (const [encoded, name] of [
    ['a+b', 'a b'],
    ['a%2Bb', 'a+b'],
    ['50%25', '50%'],
    ['line%0Abreak', 'line\nbreak'],
    ['%F0%9F%99%82', '🙂'],
    ['%22q%22', '"q"'],
    ['%23%3F%26%3D', '#?&='],
  ] as const) {
    t.equal(await statusOf('PUT', content(encoded), {}, name), 201)
    t.equal(files(emulator)[name]?.toString(), name)
  }
})

overEachProtocol('names have up to 255 bytes, and paths stay inside the home', async (t) => {
  const { emulator, statusOf } = await setup(t)
  const smiles = encodeURIComponent('🙂'.repeat(63) + 'abc')
  t.equal(await statusOf('PUT', content(smiles), {}, 'x'), 201)
  t.equal(await statusOf('PUT', content(`${smiles}d`), {}, 'x'), 400)
  t.equal(await statusOf('PUT', content('.%2Fa%2F%2Fb%2F.%2Fc%2F'), {}, 'x'), 201)
  t.ok('a/b/c' in files(emulator))
  for (const bad of ['..', '..%2Fx', 'a%2F..%2F..%2Fx', 'a%2F..%2Fb', 'nul%00', 'back%5Cslash']) {
    t.equal(await statusOf('PUT', content(bad), {}, 'x'), 400, bad)
    t.equal(await statusOf('GET', list(`&path=${bad}`)), 400, bad)
  }
  t.equal(await statusOf('PUT', `${sessionPath}/files/content?api-version=v1`, {}, 'x'), 400, 'no path')
  t.equal(await statusOf('PUT', content('%2F'), {}, 'x'), 400, 'the home')
})

overEachProtocol('what is missing is 404, of the wrong kind 400', async (t) => {
  const { home, statusOf } = await setup(t)
  fs.writeFileSync(join(home, 'file'), '')
  fs.mkdirSync(join(home, 'directory'))
  for (const path of ['missing', 'file%2Fbelow', 'missing%2Fbelow']) {
    t.equal(await statusOf('GET', content(path)), 404, `download ${path}`)
    t.equal(await statusOf('GET', list(`&path=${path}`)), 404, `list ${path}`)
    t.equal(await statusOf('DELETE', list(`&path=${path}`)), 404, `delete ${path}`)
  }
  t.equal(await statusOf('GET', content('directory')), 400)
  t.equal(await statusOf('GET', list('&path=file')), 400)
})

overEachProtocol('an upload onto a directory or through a file is 409 and changes nothing', async (t) => {
  const { emulator, home, statusOf } = await setup(t)
  fs.mkdirSync(join(home, 'directory'))
  fs.writeFileSync(join(home, 'file'), 'old')
  t.equal(await statusOf('PUT', content('directory'), {}, 'x'), 409)
  t.equal(await statusOf('PUT', content('file%2Fbelow'), {}, 'x'), 409)
  t.equal(await statusOf('PUT', content('file%2Fdeep%2Fbelow'), {}, 'x'), 409)
  t.same(files(emulator), { directory: null, file: Buffer.from('old') })
  t.same(fs.readdirSync(join(home, '..', 'incoming')), [], 'nothing is left over')
})

overEachProtocol('an upload over the limit is 413, whether it says its length or not', async (t) => {
  const { emulator, home, statusOf } = await setup(t, { maxFileBytes: 10 })
  const chunked = { 'transfer-encoding': 'chunked', 'content-length': null }
  t.equal(await statusOf('PUT', content('f'), {}, '0123456789'), 201)
  t.equal(await statusOf('PUT', content('f'), {}, '0123456789a'), 413)
  t.equal(await statusOf('PUT', content('f'), chunked, 'b\r\n0123456789a\r\n0\r\n\r\n'), 413)
  t.same(files(emulator), { f: Buffer.from('0123456789') })
  t.same(fs.readdirSync(join(home, '..', 'incoming')), [])
})

overEachProtocol('the limit is 52,428,800 bytes', async (t) => {
  const { statusOf } = await setup(t)
  t.equal(await statusOf('PUT', content('exact'), {}, Buffer.alloc(52_428_800)), 201)
  t.equal(await statusOf('PUT', content('more'), { 'content-length': '52428801' }), 413)
})

overEachProtocol(
  'delete takes files and empty directories, others only when recursive, never the home',
  async (t) => {
    const { emulator, home, request, statusOf } = await setup(t)
    fs.mkdirSync(join(home, 'full/empty'), { recursive: true })
    fs.writeFileSync(join(home, 'file'), '')
    const deleted = await request('DELETE', list('&path=file'))
    t.match(deleted, { status: 204 })
    t.equal(deleted.body.length, 0)
    t.equal(await statusOf('DELETE', list('&path=full')), 409)
    t.equal(await statusOf('DELETE', list('&path=full&recursive=false')), 409)
    t.equal(await statusOf('DELETE', list('&path=full%2Fempty')), 204)
    t.equal(await statusOf('DELETE', list('&path=full')), 204)
    fs.mkdirSync(join(home, 'full/empty'), { recursive: true })
    t.equal(await statusOf('DELETE', list('&path=full&recursive=true')), 204)
    t.same(files(emulator), {})
    for (const root of ['%2F', '.', '']) t.equal(await statusOf('DELETE', list(`&path=${root}`)), 400)
    t.equal(await statusOf('DELETE', list('&path=x&recursive=maybe')), 400)
  },
)

void t.test('an upload that breaks off leaves the file as it was', async (t) => {
  const { emulator, home } = await setup(t)
  fs.writeFileSync(join(home, 'f'), 'old')
  for (const length of [1000, 1_000_000]) {
    // The far side goes away after some bytes: here by answering its own question too early.
    const { connect } = await import('node:net')
    const socket = connect(Number(new URL(emulator.endpoint).port), '127.0.0.1')
    socket.write(
      `PUT ${content('f')} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${emulator.token}\r\ncontent-length: ${length}\r\n\r\npart`,
    )
    while (fs.readdirSync(join(home, '..', 'incoming')).length === 0 && length > 65_536) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    socket.destroy()
    await new Promise((resolve) => socket.once('close', resolve))
  }
  t.equal((await rawRequest(emulator, 'GET', content('f')))?.body.toString(), 'old')
  while (fs.readdirSync(join(home, '..', 'incoming')).length > 0) {
    await new Promise((resolve) => setImmediate(resolve))
  }
})

overEachProtocol('mkdir and stat are not there unless asked for', async (t) => {
  const body = '{"path":"/new/deep"}'
  const asJson = { 'content-type': 'application/json' }
  const mkdir = `${sessionPath}/files/mkdir?api-version=v1`
  const stat = (path: string): string => `${sessionPath}/files/stat?api-version=v1&path=${path}`
  const plain = await setup(t)
  t.equal(await plain.statusOf('POST', mkdir, asJson, body), 404)
  t.equal(await plain.statusOf('GET', stat('.')), 404)

  const { home, request, statusOf } = await setup(t, { extras: true })
  t.equal(await statusOf('POST', mkdir, asJson, body), 201)
  t.equal(await statusOf('POST', mkdir, asJson, body), 200)
  t.ok(fs.statSync(join(home, 'new/deep')).isDirectory())
  fs.writeFileSync(join(home, 'file'), 'hello')
  t.equal(await statusOf('POST', mkdir, asJson, '{"path":"file"}'), 409)
  t.equal(await statusOf('POST', mkdir, asJson, '{"path":"file/x"}'), 409)
  t.equal(await statusOf('POST', mkdir, asJson, '{}'), 400)
  t.match(json(await request('GET', stat('file'))), { name: 'file', path: 'file', is_dir: false, size: 5 })
  t.match(json(await request('GET', stat('new'))), { name: 'new', is_dir: true })
  for (const home of ['', '.', '/', '/./'])
    t.match(json(await request('GET', stat(home))), { name: '.', path: '.', is_dir: true, size: 4096 })
  const listed = `${sessionPath}/files?api-version=v1`
  t.match(json(await request('GET', listed)), { path: '.' }, 'as a listing says')
  t.equal(await statusOf('GET', stat('missing')), 404)
})
