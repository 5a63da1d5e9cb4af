/**
 * What counts as done: each kind of call, each kind of answer within 2xx.
 */
import t from 'tap'
import { ServiceError } from '../../src/client/errors.ts'
import { sessionFiles } from '../../src/client/remote-files.ts'
import type { SessionFiles } from '../../src/client/session-files.ts'
import { type Answer, bytes, json, ScriptedService, status } from './scripted-service.ts'

const content = Buffer.from('content')
const page = '<html>please log in</html>'

const html =
  (code: number): Answer =>
  (response) =>
    response.writeHead(code, { 'content-type': 'text/html' }).end(page)

type Outcome = 'done' | 'ambiguous' | 'failed'

/** How a call with one attempt ends. A failure that is not of the protocol is no outcome of these. */
async function outcome(call: Promise<unknown>): Promise<Outcome> {
  try {
    await call
    return 'done'
  } catch (error) {
    if (!(error instanceof ServiceError) || !['protocol', 'truncated'].includes(error.code)) throw error
    return error.ambiguous ? 'ambiguous' : 'failed'
  }
}

const upload = (files: SessionFiles) => files.upload('d/f', content, { retry: false })
const remove = (files: SessionFiles) => files.remove('d/f', { retry: false })
const mkdir = (files: SessionFiles) => files.makeDirectory('d', { retry: false })
const list = async (files: SessionFiles) => {
  for await (const entries of files.list('d', { retry: false })) if (entries.length > 0) return entries
  return []
}
const download = async (files: SessionFiles) => {
  const { body } = await files.download('d/f', { retry: false })
  const pieces: Uint8Array[] = []
  for await (const piece of body) pieces.push(piece)
  return Buffer.concat(pieces).toString()
}

const failure = { error: { code: 'oops', message: 'not done' } }

const table: readonly [
  string,
  (files: SessionFiles) => Promise<unknown>,
  readonly [string, Answer, Outcome][],
][] = [
  [
    'an upload',
    upload,
    [
      ['201 with an object', json(201, {}), 'done'],
      ['200 with its size', json(200, { path: 'd/f', bytes_written: content.length }), 'done'],
      ['no error', json(201, { error: null, success: true, bytes_written: null }), 'done'],
      ['another size', json(201, { bytes_written: 3 }), 'ambiguous'],
      ['an error', json(200, failure), 'ambiguous'],
      ['no success', json(201, { success: false }), 'ambiguous'],
      ['202', json(202, {}), 'ambiguous'],
      ['203', json(203, {}), 'ambiguous'],
      ['204', status(204), 'ambiguous'],
      ['nothing', status(201), 'ambiguous'],
      ['a list', json(201, []), 'ambiguous'],
      ['null', json(201, null), 'ambiguous'],
      ['a word', json(201, 'ok'), 'ambiguous'],
      ['true', json(201, true), 'ambiguous'],
      ['no JSON', bytes('ok'), 'ambiguous'],
      ['a page', html(200), 'ambiguous'],
    ],
  ],
  [
    'a deletion',
    remove,
    [
      ['204', status(204), 'done'],
      ['200', status(200), 'done'],
      ['200 with an object', json(200, { success: true }), 'done'],
      ['an error', json(200, failure), 'ambiguous'],
      ['no success', json(200, { success: false }), 'ambiguous'],
      ['202', status(202), 'ambiguous'],
      ['201', json(201, {}), 'ambiguous'],
      ['a list', json(200, []), 'ambiguous'],
      ['null', json(200, null), 'ambiguous'],
      ['a page', html(200), 'ambiguous'],
    ],
  ],
  [
    'a new directory',
    mkdir,
    [
      ['200', status(200), 'done'],
      ['201 with an object', json(201, { path: 'd' }), 'done'],
      ['204', status(204), 'done'],
      ['202', status(202), 'ambiguous'],
      ['an error', json(200, failure), 'ambiguous'],
      ['no success', json(201, { success: false }), 'ambiguous'],
      ['a page', html(200), 'ambiguous'],
    ],
  ],
  [
    'a listing',
    list,
    [
      ['entries', json(200, { entries: [] }), 'done'],
      ['201', json(201, { entries: [] }), 'failed'],
      ['204', status(204), 'failed'],
      ['206', json(206, { entries: [] }), 'failed'],
      ['an error beside entries', json(200, { entries: [], ...failure }), 'failed'],
      ['no success', json(200, { entries: [], success: false }), 'failed'],
      ['nothing', status(200), 'failed'],
      ['a list', json(200, []), 'failed'],
      ['a page', html(200), 'failed'],
    ],
  ],
  [
    'a download',
    download,
    [
      ['bytes', bytes('content'), 'done'],
      ['HTML of a known length', bytes(page, { 'content-type': 'text/html' }), 'done'],
      ['HTML without a length', html(200), 'failed'],
      ['202', bytesWith(202), 'failed'],
      ['203', bytesWith(203), 'failed'],
      ['204', status(204), 'failed'],
      ['206', bytesWith(206), 'failed'],
    ],
  ],
]

function bytesWith(code: number): Answer {
  return (response) => response.writeHead(code, { 'content-length': '7' }).end('content')
}

for (const [what, call, answers] of table) {
  void t.test(`${what} is done when the service says so, and not by any other answer`, async (t) => {
    for (const [name, answer, expected] of answers) {
      const service = (await ScriptedService.start(t)).next(answer)
      t.equal(await outcome(call(sessionFiles(service.client(t), 'a', 'session-1'))), expected, name)
      t.equal(service.asked.length, 1)
    }
  })
}

void t.test('a login page in place of a file names what sent it', async (t) => {
  const service = (await ScriptedService.start(t)).otherwise(html(200))
  const client = service.client(t)
  const named = { code: 'protocol', message: /a proxy or a login page/ }
  await t.rejects(client.downloadSessionFile('a', 'session-1', 'f'), named)
  await t.rejects(client.getSessionLogStream('a', 'session-1'), named)
})

void t.test('an upload that was answered before it was sent is not done', async (t) => {
  const service = await ScriptedService.start(t)
  service.beforeBody = (response) => response.writeHead(201).end('{"bytes_written":40000000}')
  const files = sessionFiles(service.client(t), 'a', 'session-1')
  await t.rejects(files.upload('f', Buffer.alloc(40_000_000), { retry: false }), {
    code: 'protocol',
    ambiguous: true,
    message: /answered before it had all of it/,
  })
})
