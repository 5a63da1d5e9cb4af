/**
 * What the descriptors that this process may have are for. Layer: session; the one place that divides them.
 *
 *   ┌ its own ┬ connections, uploads' sources ┬ open files ┬ what is open for a moment ┐
 *     40        8/15 of the rest                3/15         4/15: copies (3/15), the control socket, the console
 *
 * Invariant: the parts together are no more than the limit, from the smallest one on that a mount can live with
 * (56, and 10 for each more session). Node has raised the soft limit to the hard one when it started.
 */
import { readFileSync } from 'node:fs'

export interface DescriptorBudget {
  /**
   * Downloads at once, as many listings beside them, and uploads at once; at least 1. Whoever opens connections
   * asks for this number: an option that allows more is held to it.
   */
  readonly calls: number
  /** Files of the cache and the spool that stay open together; at least 4. */
  readonly openFiles: number
}

/** Event loops, the journal, the log, the lock, the socket, the kernel's connection: 36 in a mount at rest. */
const own = 40
/* journal, small files and lock are 7, its console and the file of that */
const perMoreSession = 10
/* a megabyte of memory each */
const mostSessions = 512
/* a download, a listing, four downloads that nobody reads on and that rest, an upload and the file that it sends */
const perCall = 8
/* with more, files are hardly ever opened again */
const mostOpenFiles = 512

/** How many sessions may be open together, of which half of the descriptors are. */
export function sessionsWithin(limit = descriptorLimit()): number {
  return Math.max(1, Math.min(mostSessions, Math.floor((limit - own) / 2 / perMoreSession)))
}

/** `limit`: descriptors; default: what this process may have. `sessions`: so many are open at once, at most. */
export function descriptorBudget(limit = descriptorLimit(), sessions = 1): DescriptorBudget {
  const part = (limit - own - (sessions - 1) * perMoreSession) / 15
  return {
    calls: Math.max(1, Math.floor((part * 8) / perCall)),
    openFiles: Math.min(mostOpenFiles, Math.max(4, Math.floor(part * 3))),
  }
}

/** The same options, with no more calls at once than the budget has room for. */
export function withinBudget<Options extends { readonly downloads: number; readonly uploads: number }>(
  options: Options,
  { calls }: DescriptorBudget,
): Options {
  return {
    ...options,
    downloads: Math.min(options.downloads, calls),
    uploads: Math.min(options.uploads, calls),
  }
}

function descriptorLimit(): number {
  try {
    const [, soft = ''] = /^Max open files +(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return soft === '' || soft === 'unlimited' ? Infinity : Number(soft)
  } catch {
    return Infinity
  }
}
