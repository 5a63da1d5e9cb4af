/**
 * The API server of a cluster as far as the driver calls it, over https, with the files of a service account. Layer: test.
 *
 * Invariant: what it was asked is kept, in order; it ends with the test.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import { Cluster } from '../../src/csi/cluster.ts'
import { loadCertificate } from '../../src/emulator/certificate.ts'
import { temporaryDirectory } from './rig.ts'

export interface Call {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly token: string
  readonly sent: unknown
}

type Answer = (call: Call, response: ServerResponse) => void

export interface FakeCluster {
  readonly cluster: Cluster
  readonly calls: Call[]
  /** The Pods that there are, as the API has them. */
  readonly pods: Record<string, unknown>[]
  /** Answers instead of it from now on. */
  readonly answerWith: (answer: Answer | undefined) => void
  readonly setToken: (token: string) => void
  readonly close: () => Promise<void>
}

export async function fakeCluster(t: Test): Promise<FakeCluster> {
  const directory = temporaryDirectory(t)
  const account = join(directory, 'account')
  mkdirSync(account)
  const { cert, key } = await loadCertificate(directory)
  const setToken = (token: string): void => writeFileSync(join(account, 'token'), `${token}\n`)
  writeFileSync(join(account, 'ca.crt'), cert)
  writeFileSync(join(account, 'namespace'), 'mount-session\n')
  setToken('first-token')
  const calls: Call[] = []
  const pods: Record<string, unknown>[] = []
  let instead: Answer | undefined
  const server = createServer({ cert, key }, (request, response) => {
    let text = ''
    request.setEncoding('utf8').on('data', (part: string) => (text += part))
    request.on('end', () => {
      const { pathname, searchParams } = new URL(request.url ?? '', 'https://any')
      const call: Call = {
        method: request.method ?? '',
        path: pathname,
        query: searchParams,
        token: request.headers.authorization ?? '',
        sent: text === '' ? undefined : JSON.parse(text),
      }
      calls.push(call)
      ;(instead ?? answerOf(pods))(call, response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const cluster = new Cluster({ server: `https://127.0.0.1:${port}`, accountDirectory: account })
  const close = async (): Promise<void> => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  t.teardown(async () => {
    await cluster.close()
    await close()
  })
  return { cluster, calls, pods, setToken, close, answerWith: (answer) => (instead = answer) }
}

export function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

interface Named {
  readonly metadata: { readonly name: string }
}

function answerOf(pods: Record<string, unknown>[]): Answer {
  return ({ method, path, sent }, response) => {
    const name = path.split('/').at(-1)
    const at = pods.findIndex((pod) => (pod as unknown as Named).metadata.name === name)
    if (method === 'POST') {
      if (path.endsWith('/pods')) pods.push(sent as Record<string, unknown>)
      answer(response, 201, sent as object)
    } else if (method === 'GET' && path.endsWith('/pods')) answer(response, 200, { items: pods })
    else if (at < 0) answer(response, 404, { message: `pods "${name}" not found` })
    else if (method === 'GET') answer(response, 200, pods[at] ?? {})
    else answer(response, 200, pods.splice(at, 1)[0] ?? {})
  }
}
