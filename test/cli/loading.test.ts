/**
 * What a command loads before it does its work: loading is most of the time of a start.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'

/** In a process of its own: which of the slow modules are loaded once a module of ours is. */
const script = `
  const { registerHooks } = await import('node:module')
  const loaded = new Set()
  registerHooks({ resolve: (name, context, next) => (loaded.add(name), next(name, context)) })
  await import(process.argv[1])
  const slow = ['undici', '@azure/identity', 'pino', 'koffi', 'node:sqlite', 'fastify', 'p-queue', 'lru-cache']
  console.log(JSON.stringify(slow.filter((name) => loaded.has(name))))
`

async function slowlyLoadedBy(module: string): Promise<unknown> {
  const url = new URL(`../../src/${module}`, import.meta.url).href
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, url])
  return JSON.parse(stdout)
}

void t.test('the command that starts a daemon loads nothing that only the daemon needs', async (t) => {
  t.strictSame(await slowlyLoadedBy('cli/mount.ts'), [])
})

void t.test('status, list, sync and unmount ask the daemon and load nothing of it', async (t) => {
  for (const command of ['status', 'sync', 'unmount', 'list'])
    t.strictSame(await slowlyLoadedBy(`cli/${command}.ts`), [], command)
})

void t.test(
  'a daemon loads the client of the network and the credentials only when it sends something, and what needs the first answer beside that request',
  async (t) => {
    const loaded = (await slowlyLoadedBy('mount/mount.ts')) as string[]
    const later = ['undici', '@azure/identity', 'lru-cache']
    for (const name of [...later, 'fastify', 'pino']) t.notOk(loaded.includes(name), name)
  },
)
