/**
 * How many calls at once fit into the descriptors that this process may have. Layer: cli.
 *
 * Invariant: connections take half of them at most; the rest is for open files, the journal and the log. Node has
 * raised the soft limit to the hard one when it started.
 */
import { readFileSync } from 'node:fs'

/* a download has its connection, a listing another, and four downloads that nobody reads on rest beside each */
const share = 16

interface CallsAtOnce {
  readonly downloads: number
  readonly uploads: number
}

/** The same, with no more calls at once than `limit` has room for. Default: the limit of this process. */
export function fitDescriptors<Values extends CallsAtOnce>(
  values: Values,
  limit = descriptorLimit(),
): Values {
  const most = Math.max(1, Math.floor(limit / share))
  return {
    ...values,
    downloads: Math.min(values.downloads, most),
    uploads: Math.min(values.uploads, most),
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
