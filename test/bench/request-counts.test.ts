import t from 'tap'
import { RequestCounts } from '../../scripts/bench/request-counts.ts'

const session = '/api/projects/p/agents/a/endpoint/sessions/s'

void t.test('requests are told apart by what they ask for', (t) => {
  const counts = new RequestCounts()
  for (const line of [
    `GET ${session}?api-version=v1`,
    `GET ${session}/files?path=.`,
    `GET ${session}/files?path=a%2Ffiles%2Fcontent`,
    `GET ${session}/files/content?path=a`,
    `PUT ${session}/files/content?path=a`,
    'PROPFIND /dir/',
    'GET /dir/file',
  ]) {
    counts.take(Buffer.from(`${line} HTTP/1.1\r\nhost: x\r\n\r\n`))
  }
  t.same(counts.counts(), { SESSION: 1, LIST: 2, GET: 2, PUT: 1, PROPFIND: 1 })
  t.end()
})

void t.test('bodies and other protocols are no requests', (t) => {
  const counts = new RequestCounts()
  for (const bytes of ['SSH-2.0-OpenSSH\r\n', 'GET is a word HTTP/1.1', Buffer.alloc(100_000), '']) {
    counts.take(Buffer.from(bytes as string))
  }
  t.same(counts.counts(), {})
  t.end()
})
