/**
 * The last look before the delete that ends a rename: what was copied must be there, and the old name
 * unchanged. Layer: write-back.
 *
 * Invariant: what a look shows is compared with what it was begun for: when that moved while it was awaited
 * (the new name changed, was renamed or removed, the old one is wanted again), it is looked at again.
 */
import { nameOf, parentOf } from '../../remote-path.ts'
import { certain, isDone, isShown, type PathRecord } from '../record.ts'
import { mustWait, nextCall } from '../state/next-call.ts'
import { listingAfter, type CallParts } from './call-parts.ts'
import { isKnown } from './conflicts.ts'
import { isOwnOrGone } from './own-uploads.ts'

export type OldName =
  | { readonly is: 'free' }
  /* another call is due, or none yet */
  | { readonly is: 'moved' }
  /* what was copied is not listed yet, which may be behind */
  | { readonly is: 'unclear'; readonly why: string }
  | { readonly is: 'needed'; readonly why: string }

/** Whether a name that is to be deleted may go. Throws `ServiceError`. */
export async function lookAtOldName(record: PathRecord, parts: CallParts): Promise<OldName> {
  const { ledger } = parts
  for (;;) {
    if (record.heirs.length === 0) return { is: 'free' }
    const hasMoved = watch(record, parts)
    const found = await judge(record, parts)
    const call = nextCall(record)
    if (call.do !== 'delete' || mustWait(record, call, ledger.records)) return { is: 'moved' }
    if (!hasMoved()) return found
  }
}

/** Answers whether what a look is judged by is not any more what it is now. */
function watch(record: PathRecord, { ledger }: CallParts): () => boolean {
  const { version, remote, heirs } = record
  const known = heirs.map((path) => {
    const heir = ledger.records.get(path)
    return { path, heir, version: heir?.version, order: heir?.confirmedOrder, doubt: heir?.doubtSince }
  })
  return () =>
    record.version !== version ||
    record.remote !== remote ||
    record.heirs !== heirs ||
    known.some(({ path, heir, ...seen }) => {
      // one that has given way to the listing that was awaited is judged by what it was
      const now = ledger.records.get(path) ?? heir
      return (
        now !== heir ||
        heir?.version !== seen.version ||
        heir?.confirmedOrder !== seen.order ||
        heir?.doubtSince !== seen.doubt
      )
    })
}

async function judge(record: PathRecord, parts: CallParts): Promise<OldName> {
  for (const path of record.heirs) {
    const heir = parts.ledger.records.get(path)
    if (heir?.scratch || (heir && heir.desired.is !== 'file')) continue
    // not waited for, since it cannot go before this one: its bytes are in the spool
    if (heir && !isDone(heir)) continue
    const listing = await listingAfter(parentOf(path), heir?.confirmedOrder ?? record.confirmedOrder, parts)
    const shown = listing.entries.get(nameOf(path))
    const isThere = heir?.remote.is === 'file' ? isShown(heir.remote, shown) : shown?.isDirectory === false
    if (isThere) continue
    // in doubt, an earlier upload took effect late, and the newest goes again
    const isUnclear = heir?.doubtSince !== undefined || heir?.earlier.some((state) => isShown(state, shown))
    return { is: isUnclear ? 'unclear' : 'needed', why: `${path} is not on the service as it was copied` }
  }
  const listing = await listingAfter(parentOf(record.path), record.confirmedOrder, parts)
  const own = listing.entries.get(nameOf(record.path))
  if (own && certain(record.remote).is === 'file' && !isKnown(record, own)) {
    if (!(await isOwnOrGone(record, own, record.attempts, parts)))
      return { is: 'needed', why: 'somebody has changed it meanwhile' }
  }
  return { is: 'free' }
}
