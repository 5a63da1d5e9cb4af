import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'

/** In a process of its own: which of the slow modules are loaded when a client is made, and after its first request. */
const script = `
  const { registerHooks } = await import('node:module')
  const loaded = new Set()
  registerHooks({ resolve: (name, context, next) => (loaded.add(name), next(name, context)) })
  const slow = () => ['undici', '@azure/identity'].filter((name) => loaded.has(name))
  const { SessionClient } = await import(process.argv[1])
  const client = new SessionClient({ endpoint: 'http://127.0.0.1:1/p', credential: { token: 'x' } })
  const atFirst = slow()
  await client.getSession('agent', 'session', { retry: false }).catch(() => undefined)
  await client.close()
  console.log(JSON.stringify({ atFirst, afterRequest: slow() }))
`

void t.test(
  'undici is loaded with the first request, the credentials only where they are needed',
  async (t) => {
    const client = new URL('../../src/client/session-client.ts', import.meta.url).href
    const { stdout } = await promisify(execFile)(process.execPath, [
      '--input-type=module',
      '-e',
      script,
      client,
    ])
    t.strictSame(JSON.parse(stdout), { atFirst: [], afterRequest: ['undici'] })
  },
)
