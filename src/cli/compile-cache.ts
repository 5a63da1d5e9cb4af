/**
 * Keeps what Node compiles for the next start, which takes most of the time of one. Layer: cli.
 *
 * The first modules of a process are loaded before this can be called. Where they are TypeScript, Node loads its
 * compiler for them, 50 ms and 14 MB that a daemon keeps: so who starts one of ours names the place in its
 * environment, as Node reads it itself.
 *
 * Invariant: it lies in this user's own cache directory, never in a place that others can write to; without it
 * everything works as well. The programs that we start hear of it only where our user has said so.
 */
import { enableCompileCache, flushCompileCache, getCompileCacheDir } from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { makeDirectory } from '../session/own-directory.ts'

const variable = 'NODE_COMPILE_CACHE'

export function keepCompiled(): void {
  const directory = ownPlace()
  if (directory === undefined) return
  if (process.env[variable] === directory) Reflect.deleteProperty(process.env, variable)
  try {
    makeDirectory(directory)
  } catch {
    return
  }
  /* what Node makes in it is code that we run */
  const umask = process.umask(0o077)
  enableCompileCache(directory)
  process.umask(umask)
}

/** The environment in which another process of ours finds it from its first module on. */
export function withCompiled(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const directory = ownPlace()
  /* undefined: it could not be used */
  const isUsed = directory !== undefined && getCompileCacheDir() !== undefined
  return isUsed ? { [variable]: directory, ...env } : env
}

/** Writes it now: Node does so at the end only, which may be in days, or never. */
export function writeCompiled(): void {
  flushCompileCache()
}

function ownPlace(): string | undefined {
  const given = process.env['XDG_CACHE_HOME'] ?? ''
  const caches = given.startsWith('/') ? given : join(homedir(), '.cache')
  /* not in whatever directory the command is run */
  return caches.startsWith('/') ? join(caches, 'mount-session', 'compiled') : undefined
}
