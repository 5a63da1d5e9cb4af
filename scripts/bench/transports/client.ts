/**
 * One trial, in a process of its own so that its CPU time is its own. Layer: benchmark.
 *
 *   client.ts TRIAL PORT CERTIFICATE      prints a TrialFigure for each part, as JSON
 *
 * Invariant: every answer is read to its end and has the status it should have.
 */
import { readFileSync } from 'node:fs'
import * as http2 from 'node:http2'
import { Pool } from 'undici'
import { noise } from '../fixtures.ts'
import { parts, trialBytes, type Trial, type TrialFigure } from './trial.ts'

type Ask = (method: 'GET' | 'PUT') => Promise<number>

const [, , given = '', port = '', certificate = ''] = process.argv
const trial = JSON.parse(given) as Trial
const origin = `https://127.0.0.1:${port}`
const ca = readFileSync(certificate, 'utf8')
const body = noise(trialBytes)
const path = '/content?api-version=v1&path=directory%2Ffile'
const authorization = `Bearer ${'x'.repeat(1500)}`
/* what is on the way of a thousand small answers must not wait for the window of a connection */
const windowBytes = 4 * 1024 * 1024

const ask = trial.client === 'node:http2' ? overNode(trial) : overUndici(trial)
const figures: TrialFigure[] = []
for (const { method, requests } of parts) {
  const before = process.cpuUsage()
  const since = performance.now()
  await askAll(requests, method)
  const ms = performance.now() - since
  const { user, system } = process.cpuUsage(before)
  figures.push({ ms, cpuMs: (user + system) / 1000 })
}
process.stdout.write(`${JSON.stringify(figures)}\n`)
process.exit()

/** As many at once as the trial says, until all are answered. */
async function askAll(requests: number, method: 'GET' | 'PUT'): Promise<void> {
  let left = requests
  const expected = method === 'PUT' ? 201 : 200
  const goOn = async (): Promise<void> => {
    while (left-- > 0) {
      const status = await ask(method)
      if (status !== expected) throw new Error(`${method}: ${status}`)
    }
  }
  await Promise.all(Array.from({ length: trial.atOnce }, goOn))
}

function overUndici({ client, connections, atOnce }: Trial): Ask {
  const isHttp2 = client === 'undici, HTTP/2'
  const pool = new Pool(origin, {
    connections,
    allowH2: isHttp2,
    pipelining: isHttp2 ? Math.ceil(atOnce / connections) : 1,
    connect: { ca },
  })
  return async (method) => {
    const answer = await pool.request({
      method,
      path,
      headers: { authorization },
      body: method === 'PUT' ? body : null,
    })
    await answer.body.dump({ limit: 2 * trialBytes })
    return answer.statusCode
  }
}

function overNode({ connections }: Trial): Ask {
  const all = Array.from({ length: connections }, () => {
    const connection = http2.connect(origin, { ca, settings: { initialWindowSize: windowBytes } })
    connection.once('connect', () => connection.setLocalWindowSize(windowBytes))
    return connection
  })
  let turn = 0
  return (method) =>
    new Promise((resolve, reject) => {
      const connection = all[turn++ % all.length]
      if (connection === undefined) return
      const stream = connection.request({ ':method': method, ':path': path, authorization })
      let status = 0
      stream.once('response', (headers) => (status = headers[':status'] ?? 0))
      stream.once('error', reject)
      stream.once('end', () => resolve(status))
      stream.resume()
      stream.end(method === 'PUT' ? body : undefined)
    })
}
