/**
 * What to make of a download whose length is not the listed size. Layer: cache.
 *
 * Invariant: the listing is asked once more, begun after the download; a file that is being written is
 * taken at its received length, and only a size that stays the same makes the download a short one.
 */
import { nameOf, parentOf } from '../remote-path.ts'
import type { RemoteEntry } from '../client/session-files.ts'
import type { Listings } from './listings.ts'

export type SizeVerdict =
  /* `agreed` is the entry that goes with these bytes, undefined when no listing has shown it */
  { readonly kind: 'take'; readonly agreed: RemoteEntry | undefined } | { readonly kind: 'short' }

/** `received` bytes have come for a file that was listed as `listed`. */
export async function checkSize(
  listings: Listings,
  path: string,
  listed: RemoteEntry,
  received: number,
  signal: AbortSignal,
): Promise<SizeVerdict> {
  if (received === listed.size) return { kind: 'take', agreed: listed }
  const { entry } = await listings.lookup(parentOf(path), nameOf(path), { maxAgeMs: 0, signal })
  if (entry === undefined || entry.isDirectory || entry.size !== listed.size)
    return { kind: 'take', agreed: undefined }
  // The answer was whole by its own length and nothing is missing: a link is listed with its own size.
  if (received > listed.size) return { kind: 'take', agreed: entry }
  return { kind: 'short' }
}
