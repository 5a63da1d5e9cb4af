/**
 * What a command loads before it does its work: loading is most of the time of a start.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'

/** In a process of its own: what is loaded once a module of ours is, by the names it is imported with. */
const script = `
  const { registerHooks } = await import('node:module')
  const loaded = new Set()
  registerHooks({ resolve: (name, context, next) => (loaded.add(name), next(name, context)) })
  await import(process.argv[1])
  console.log(JSON.stringify([...loaded]))
`
const slow = ['undici', '@azure/identity', 'pino', 'koffi', 'node:sqlite', 'fastify', 'p-queue', 'lru-cache']

async function loadedBy(module: string): Promise<readonly string[]> {
  const url = new URL(`../../src/${module}`, import.meta.url).href
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, url])
  return JSON.parse(stdout) as readonly string[]
}

async function slowlyLoadedBy(module: string): Promise<readonly string[]> {
  const loaded = await loadedBy(module)
  return slow.filter((name) => loaded.includes(name))
}

void t.test('the command that starts a daemon loads nothing that only the daemon needs', async (t) => {
  const loaded = await loadedBy('cli/mount.ts')
  const ofTheDaemon = ['valibot', './keeper.ts', './serve-mount.ts', './serve.ts']
  for (const name of [...slow, ...ofTheDaemon]) t.notOk(loaded.includes(name), name)
})

void t.test('status, list, sync and unmount ask the daemon and load nothing of it', async (t) => {
  for (const command of ['status', 'sync', 'unmount', 'list'])
    t.strictSame(await slowlyLoadedBy(`cli/${command}.ts`), [], command)
})

void t.test(
  'a daemon loads the client of the network and the credentials only when it sends something, and what needs the first answer beside that request',
  async (t) => {
    const loaded = await slowlyLoadedBy('mount/mount.ts')
    const later = ['undici', '@azure/identity', 'lru-cache']
    for (const name of [...later, 'fastify', 'pino']) t.notOk(loaded.includes(name), name)
  },
)
