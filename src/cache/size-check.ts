/**
 * What to make of a download whose length is not the listed size. Layer: cache.
 *
 * Invariant: the listing is asked once more, begun after the download; a file that is being written is
 * taken at its received length, and only a size that stays the same makes the download a short one.
 */
import type { RemoteEntry } from '../client/session-files.ts'
import { nameOf, parentOf } from '../remote-path.ts'
import type { Listings } from './listings.ts'

export type SizeVerdict =
  /* `agreed` is the entry that goes with these bytes, undefined when no listing has shown it */
  { readonly kind: 'take'; readonly agreed: RemoteEntry | undefined } | { readonly kind: 'short' }

/** `received` bytes have come for a file that was listed as `listed`; `lookAgain` asks for its entry now. */
export async function checkSize(
  listed: RemoteEntry,
  received: number,
  lookAgain: () => Promise<RemoteEntry | undefined>,
): Promise<SizeVerdict> {
  if (received === listed.size) return { kind: 'take', agreed: listed }
  const entry = await lookAgain()
  if (entry === undefined || entry.isDirectory || entry.size !== listed.size)
    return { kind: 'take', agreed: undefined }
  // The answer was whole by its own length and nothing is missing: a link is listed with its own size.
  if (received > listed.size) return { kind: 'take', agreed: entry }
  return { kind: 'short' }
}

/** The entry of a path in a listing begun now. */
export async function entryNow(
  listings: Listings,
  path: string,
  signal: AbortSignal,
): Promise<RemoteEntry | undefined> {
  return (await listings.lookup(parentOf(path), nameOf(path), { maxAgeMs: 0, signal })).entry
}
