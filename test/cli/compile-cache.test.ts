/**
 * Where what Node compiles is kept, and which processes are told of it.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'

/** What a process finds with this environment: what it uses itself, tells its programs, and tells a daemon. */
async function told(env: Readonly<Record<string, string>>): Promise<unknown> {
  const script = `
    const { getCompileCacheDir } = await import('node:module')
    const { keepCompiled, withCompiled } = await import(process.argv[1])
    keepCompiled()
    const { NODE_COMPILE_CACHE: programs = null } = process.env
    const { NODE_COMPILE_CACHE: daemon = null } = withCompiled(process.env)
    console.log(JSON.stringify({ used: getCompileCacheDir() ?? null, programs, daemon }))
  `
  const module = new URL('../../src/cli/compile-cache.ts', import.meta.url).href
  const { PATH = '' } = process.env
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '-e', script, module],
    { env: { PATH, ...env } },
  )
  return JSON.parse(stdout)
}

const below = (directory: string): RegExp => new RegExp(`^${directory}/`)

void t.test('a daemon is told of the place from its first module on, other programs are not', async (t) => {
  const caches = t.testdir()
  const own = join(caches, 'mount-session', 'compiled')
  const expected = { used: below(own), programs: null, daemon: own }
  t.match(await told({ XDG_CACHE_HOME: caches }), expected, 'started by its user')
  t.match(await told({ XDG_CACHE_HOME: caches, NODE_COMPILE_CACHE: own }), expected, 'started by one of ours')
})

void t.test('a place that the user has named is used, and told to all', async (t) => {
  const caches = t.testdir()
  const named = join(t.testdirName, 'named')
  const found = await told({ XDG_CACHE_HOME: caches, NODE_COMPILE_CACHE: named })
  t.match(found, { used: below(named), programs: named, daemon: named })
})

void t.test('a daemon is told nothing where nothing can be kept', async (t) => {
  const caches = t.testdir({ 'mount-session': 'a file' })
  t.match(await told({ XDG_CACHE_HOME: caches }), { used: null, programs: null, daemon: null })
})
