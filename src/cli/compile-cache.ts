/**
 * Keeps what Node compiles for the next start, which takes most of the time of one. Layer: cli.
 *
 * Invariant: it lies in this user's own cache directory, never in a place that others can write to; without it
 * everything works as well.
 */
import { enableCompileCache, flushCompileCache } from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { makeDirectory } from '../session/own-directory.ts'

export function keepCompiled(): void {
  const given = process.env['XDG_CACHE_HOME'] ?? ''
  const caches = given.startsWith('/') ? given : join(homedir(), '.cache')
  /* not in whatever directory the command is run */
  if (!caches.startsWith('/')) return
  const directory = join(caches, 'mount-session', 'compiled')
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

/** Writes it now: Node does so at the end only, which may be in days, or never. */
export function writeCompiled(): void {
  flushCompileCache()
}
