/**
 * When a cached content may be served: the rule of proof, as pure functions. Layer: cache.
 *
 * Invariant: size and time prove a content only when the time is one the service really gives, lay at least
 * two seconds before the download, and was shown both before and after it. A second write within the same
 * second, or one while the bytes were on their way, would otherwise go unseen.
 */
import type { RemoteEntry } from '../client/session-files.ts'

/** A file that was changed so shortly before the download may have been changed again in the same second. */
const settledBeforeDownloadMs = 2_000

/** Where a content came from and what was known of its file at that time. */
export interface Provenance {
  readonly origin: 'download' | 'own'
  /** What a listing has to show for it to be this content. */
  readonly size: number
  /** Unix seconds; undefined: no listing has shown the time of exactly this content. */
  readonly modifiedSeconds: number | undefined
  /** `Clock.order()` before the request was sent; undefined while no request was. */
  readonly begunOrder: number | undefined
  /** `Clock.order()` when it was whole; undefined while it arrives. */
  readonly endedOrder: number | undefined
  /** `Clock.now()` when the service answered with it (or confirmed it as ours): its age counts from here. */
  readonly knownAt: number | undefined
  /** The answer's `Date`, Unix milliseconds. */
  readonly serverDateMs: number | undefined
  /** Our own, and the service cannot give it back whole: as good as it gets while the listed size agrees. */
  readonly kept: boolean
}

export interface ProofRules {
  /** How old an unproven content may be, in milliseconds; 0: never used again. */
  readonly ttlMs: number
  /** How long our own confirmed upload is trusted, in milliseconds. */
  readonly ownTtlMs: number
  /** `--content-ttl`: how old an unproven content may be while the listing agrees; default the TTL. */
  readonly contentTtlMs?: number | undefined
  /** `-o immutable`: a file whose listing agrees never changes. Default false. */
  readonly immutable?: boolean | undefined
}

/** The listing entry at hand and when its listing was begun. */
export interface Sighting {
  readonly listed: RemoteEntry
  readonly begunOrder: number
}

export type Verdict =
  'waiting' /* nothing was requested yet */ | 'arriving' | 'proven' | 'own' | 'young' | 'immutable' | 'stale'

/** Whether a content may be served to whoever has this sighting now, and why. */
export function judge(content: Provenance, sighting: Sighting, now: number, rules: ProofRules): Verdict {
  const agrees = isOf(content, sighting.listed)
  if (content.begunOrder === undefined) return agrees ? 'waiting' : 'stale'
  // A listing that is older than the download cannot contradict it.
  if (!agrees && sighting.begunOrder > content.begunOrder) return 'stale'
  if (agrees && rules.immutable === true) return 'immutable'
  if (content.endedOrder === undefined) return agrees && rules.ttlMs > 0 ? 'arriving' : 'stale'
  if (isProven(content, sighting)) return 'proven'
  const age = now - (content.knownAt ?? -Infinity)
  if (content.origin === 'own' && (content.kept ? agrees : age <= rules.ownTtlMs)) return 'own'
  const limitMs = agrees ? Math.max(rules.ttlMs, rules.contentTtlMs ?? 0) : rules.ttlMs
  return age < limitMs ? 'young' : 'stale'
}

/** Whether a listing entry can be the one of this content. */
export function isOf(content: Provenance, listed: RemoteEntry): boolean {
  if (listed.isDirectory || listed.size !== content.size) return false
  return content.modifiedSeconds === undefined || content.modifiedSeconds === listed.modifiedSeconds
}

function isProven(content: Provenance, sighting: Sighting): boolean {
  if (!isOf(content, sighting.listed)) return false
  if (content.size === 0) return true
  const { modifiedSeconds, serverDateMs, endedOrder } = content
  if (modifiedSeconds === undefined || modifiedSeconds <= 0) return false
  if (serverDateMs === undefined || endedOrder === undefined) return false
  if (modifiedSeconds * 1000 + settledBeforeDownloadMs > serverDateMs) return false
  return sighting.begunOrder > endedOrder
}
