/**
 * What a volume can be used as. Layer: csi.
 *
 * Invariant: every access mode will do, for a session can be mounted as often as anybody likes: two who write to one
 * file at the same time are for the conflicts of `semantics.md`.
 */
import { CsiError } from './csi-error.ts'
import type { VolumeCapability } from './messages.ts'

/** Throws `CsiError` for what no session can be used as. */
export function checkCapability(capability: VolumeCapability | null): asserts capability is VolumeCapability {
  if (capability === null) throw new CsiError('invalidArgument', 'volume_capability is missing')
  /* of the two, what was not chosen is not there at all */
  if ((capability.block ?? null) !== null)
    throw new CsiError(
      'invalidArgument',
      'a session is a directory and no block device: volumeMode has to be Filesystem',
    )
  if ((capability.mount ?? null) === null)
    throw new CsiError('invalidArgument', 'volume_capability says neither mount nor block')
}
