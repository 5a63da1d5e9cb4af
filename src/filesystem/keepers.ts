/**
 * Who keeps a working copy from being put away: an open file, or a file without a name. Layer: filesystem.
 *
 * Invariant: a copy that was retained is released once.
 */
import type { WorkingCopy } from '../write-back/local-changes.ts'
import type { FileHandle } from './node.ts'

type Keeper = Pick<FileHandle, 'retained'>

export function retain(keeper: Keeper, copy: WorkingCopy): void {
  if (keeper.retained === copy) return
  const before = keeper.retained
  copy.retain()
  keeper.retained = copy
  before?.release()
}

export function release(keeper: Keeper): void {
  const { retained } = keeper
  keeper.retained = undefined
  retained?.release()
}

/** Nobody writes to it: it goes as it came. */
export function unused(copy: WorkingCopy): void {
  copy.retain()
  copy.release()
}
