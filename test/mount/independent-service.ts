/**
 * The same REST surface by another hand: in memory, plain node:http, and with other habits than the emulator
 * wherever the surface leaves a choice. Layer: test.
 *
 * Invariant: it shares nothing with `src/emulator`, so that what works on both depends on the surface alone.
 */

import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

export interface IndependentService {
  readonly endpoint: string
  readonly token: string
  readonly target: string
  /** Paths without a slash in front; directories are not in it. */
  readonly files: Map<string, Buffer>
  readonly lies: Lies
}

/** What it does in place of the right thing, where it is told to. */
export interface Lies {
  /** What a listing says, in place of this. */
  list?: ((path: string, page: Page) => unknown) | undefined
  /** True: it has answered. */
  download?: ((path: string, response: ServerResponse) => boolean) | undefined
  /** True: it has answered, and stored what it wanted to. */
  upload?: ((path: string, content: Buffer, response: ServerResponse) => boolean) | undefined
}

export interface Page {
  readonly entries: readonly { readonly name: string; readonly size?: number; readonly is_directory?: true }[]
  readonly last_id: string | null
  readonly has_more: boolean
}

const agent = 'other-agent'
const session = 'other-session-0001'
const base = '/some/prefix/api/projects/p'
const pageSize = 3

export async function startIndependentService(t: Pick<Test, 'teardown'>): Promise<IndependentService> {
  const files = new Map<string, Buffer>()
  const directories = new Set<string>([''])
  const cursors = new Map<string, string>()
  const token = randomUUID()
  const lies: Lies = {}

  const isDirectory = (path: string): boolean =>
    directories.has(path) || [...files.keys()].some((file) => file.startsWith(`${path}/`))
  /* newest name first: no order that a client could rely on */
  const namesIn = (directory: string): string[] => {
    const prefix = directory === '' ? '' : `${directory}/`
    const below = [...files.keys(), ...directories].filter((path) => path !== '' && path.startsWith(prefix))
    return [...new Set(below.map((path) => path.slice(prefix.length).split('/')[0] ?? ''))]
      .filter((name) => name !== '')
      .toSorted()
      .toReversed()
  }

  /* chunked, never compressed */
  const json = (response: ServerResponse, status: number, body: object): void => {
    response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' })
    const text = JSON.stringify(body, undefined, 1)
    response.write(text.slice(0, 10))
    response.end(text.slice(10))
  }
  /* only what an error must have */
  const fail = (response: ServerResponse, status: number): void =>
    json(response, status, { error: { code: null, message: `status ${status}` } })

  function list(response: ServerResponse, path: string, query: URLSearchParams): void {
    if (!isDirectory(path)) {
      fail(response, 404)
      return
    }
    const names = namesIn(path)
    const after = query.get('after')
    const start = after === null ? 0 : names.findIndex((name) => name < (cursors.get(after) ?? ''))
    const rest = start < 0 ? [] : names.slice(start)
    const page = rest.slice(0, Math.min(pageSize, Number(query.get('limit') ?? 20)))
    const last = page.at(-1)
    const cursor = last === undefined ? null : randomUUID()
    if (last !== undefined && cursor !== null) cursors.set(cursor, last)
    const answer = {
      object: 'list',
      entries: page.map((name) => {
        const at = path === '' ? name : `${path}/${name}`
        const content = files.get(at)
        return content === undefined
          ? { name, is_directory: true as const }
          : { name, size: content.length, mode: 420 }
      }),
      first_id: cursor,
      last_id: cursor,
      has_more: rest.length > page.length,
    }
    json(response, 200, lies.list?.(path, answer) ?? answer)
  }

  async function upload(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    if (isDirectory(path)) {
      fail(response, 409)
      return
    }
    const content = Buffer.concat(chunks)
    if (lies.upload?.(path, content, response) === true) return
    files.set(path, content)
    for (let above = path; above.includes('/');) {
      above = above.slice(0, above.lastIndexOf('/'))
      directories.add(above)
    }
    json(response, 200, { path: `/${path}`, bytes_written: content.length })
  }

  function download(response: ServerResponse, path: string): void {
    if (lies.download?.(path, response) === true) return
    const content = files.get(path)
    if (content === undefined) {
      fail(response, 404)
      return
    }
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': content.length })
    response.end(content)
  }

  function remove(response: ServerResponse, path: string, recursive: boolean): void {
    if (files.delete(path)) return void response.writeHead(200).end()
    if (!isDirectory(path)) {
      fail(response, 404)
      return
    }
    if (namesIn(path).length > 0 && !recursive) {
      fail(response, 409)
      return
    }
    directories.delete(path)
    response.writeHead(200).end()
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', 'http://service')
    if (request.headers.authorization !== `Bearer ${token}`) {
      fail(response, 401)
      return
    }
    const here = `${base}/agents/${agent}/endpoint/sessions/${session}`
    if (!url.pathname.startsWith(here)) {
      fail(response, 404)
      return
    }
    const path = (url.searchParams.get('path') ?? '').replace(/^\.?\/*/, '')
    switch (`${request.method ?? ''} ${url.pathname.slice(here.length)}`) {
      case 'GET ': {
        json(response, 200, { agent_session_id: session, status: 'idle' })
        return
      }
      case 'GET /files': {
        list(response, path, url.searchParams)
        return
      }
      case 'DELETE /files': {
        remove(response, path, url.searchParams.get('recursive') === 'true')
        return
      }
      case 'PUT /files/content':
        return upload(request, response, path)
      case 'GET /files/content': {
        download(response, path)
        return
      }
      default:
        request.resume()
        {
          fail(response, 405)
          return
        }
    }
  }

  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy())
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  t.teardown(async () => {
    server.closeAllConnections()
    await new Promise((closed) => server.close(closed))
  })
  const { port } = server.address() as AddressInfo
  return { endpoint: `http://127.0.0.1:${port}${base}`, token, target: `${agent}/${session}`, files, lies }
}
