/**
 * The last look before a directory is deleted: somebody may have put something into it since its names were
 * seen. Layer: write-back.
 *
 * Invariant: told by a listing that was begun after the last of our own calls below the directory; a name that we
 * know of is ours, whatever a listing that lags still shows of it.
 */
import { joinPath } from '../../remote-path.ts'
import type { PathRecord } from '../record.ts'
import { listingAfter, type CallParts } from './call-parts.ts'

/** The name of something in a directory that is none of ours; undefined: it may go. Throws `ServiceError`. */
export async function strangerIn(
  { path, confirmedOrder }: PathRecord,
  parts: CallParts,
): Promise<string | undefined> {
  const { records } = parts.ledger
  let order = confirmedOrder
  for (const below of records.within(path)) order = Math.max(order, below.confirmedOrder)
  const listing = await listingAfter(path, order, parts)
  for (const name of listing.entries.keys()) if (!records.get(joinPath(path, name))) return name
  return undefined
}
