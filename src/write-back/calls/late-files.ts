/**
 * Uploads of ours that took effect late, under a name that is wanted as a directory by now. Layer: write-back.
 *
 * Invariant: told by the bytes, as everywhere; somebody else's file stays where it is.
 */
import type { CallParts } from './call-parts.ts'
import { isOwnOrGone } from './own-uploads.ts'
import { remoteOf } from '../record.ts'
import { nameOf, parentOf } from '../../remote-path.ts'

/**
 * A call on `path` met with a conflict: whether such a file is there or above. It is known as what is there
 * from then on, so that it is deleted before what it was in the way of. Throws `ServiceError`.
 */
export async function foundLateFile(path: string, parts: CallParts): Promise<boolean> {
  const { ledger, listings, signal, wake } = parts
  for (let at = path; at !== ''; at = parentOf(at)) {
    const record = ledger.records.get(at)
    if (record?.desired.is !== 'directory' || record.attempts.length === 0) continue
    const listing = await listings.list(parentOf(at), { signal, retry: false, maxAgeMs: 0, priority: 1 })
    const found = listing.entries.get(nameOf(at))
    if (!found || found.isDirectory) continue
    if (!(await isOwnOrGone(record, found, record.attempts, parts))) continue
    // whatever has become of the name meanwhile, that is what is there
    if (ledger.records.get(at) !== record) return true
    ledger.change(record, { remote: remoteOf(found) })
    if (at !== path) wake(record)
    return true
  }
  return false
}
