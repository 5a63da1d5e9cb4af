/**
 * The client in a script that does nothing else: whatever somebody awaits keeps its process.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { json, ScriptedService, status } from './scripted-service.ts'

const module = join(import.meta.dirname, '../../src/index.ts')

function script(body: string): Promise<{ stdout: string }> {
  const text = `import { SessionClient } from ${JSON.stringify(module)}\n${body}\nconsole.log('done')`
  return promisify(execFile)(process.execPath, ['--input-type=module', '--eval', text])
}

const client = (endpoint: string, credential = `{ token: 'x' }`): string =>
  `const client = new SessionClient({ endpoint: ${JSON.stringify(endpoint)}, credential: ${credential} })`
const upload = `await client.uploadSessionFile('a', 'session-1', 'f', Buffer.from('content'))`

void t.test('a script waits for the next attempt of its call, and ends after it', async (t) => {
  const service = await ScriptedService.start(t)
  service.next(status(503, { 'retry-after': '1', connection: 'close' }), json(201, {}))
  const { stdout } = await script([client(service.endpoint), upload].join('\n'))
  t.equal(stdout, 'done\n')
  t.equal(service.asked.length, 2)
})

void t.test('it ends although its connections are kept', async (t) => {
  const service = (await ScriptedService.start(t)).next(json(201, {}))
  t.equal((await script([client(service.endpoint), upload].join('\n'))).stdout, 'done\n')
})

void t.test('it waits for a token that takes long', async (t) => {
  const service = (await ScriptedService.start(t)).next(json(201, {}))
  const slow = `() => new Promise((resolve) => setTimeout(resolve, 300, 'x').unref())`
  t.equal((await script([client(service.endpoint, slow), upload].join('\n'))).stdout, 'done\n')
})
