/**
 * Keeps what Node compiles for the next start, which takes most of the time of one. Layer: cli.
 *
 * Invariant: it lies in this user's own cache directory, never in a place that others can write to; without it
 * everything works as well.
 */
import { mkdirSync } from 'node:fs'
import { enableCompileCache, flushCompileCache } from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'

export function keepCompiled(): void {
  const given = process.env['XDG_CACHE_HOME'] ?? ''
  const caches = given.startsWith('/') ? given : join(homedir(), '.cache')
  const directory = join(caches, 'mount-session', 'compiled')
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
  } catch {
    return
  }
  enableCompileCache(directory)
}

/** Writes it now: Node does so at the end only, which may be in days, or never. */
export function writeCompiled(): void {
  flushCompileCache()
}
