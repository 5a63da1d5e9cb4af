/**
 * The strict mode, `-o sync`: a call returns when the service has what it did, or with its error. Layer: filesystem.
 *
 * Invariant: without it nothing waits.
 */
import type { Caller, MaybePromise } from './front-end.ts'
import type { Ground } from './ground.ts'
import type { WorkingCopy } from '../write-back/local-changes.ts'

/** Waits in strict mode until the service has confirmed paths, or the bytes of copies. */
export function confirmed(
  { options, changes }: Pick<Ground, 'options' | 'changes'>,
  what: readonly (string | WorkingCopy)[],
  { signal }: Caller,
): MaybePromise<void> {
  if (!options.sync) return
  const barriers = what.map((each) =>
    typeof each === 'string' ? changes.barrier(each, signal) : each.barrier(signal),
  )
  return Promise.all(barriers).then(() => undefined)
}
