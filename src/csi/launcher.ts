/**
 * Where the daemons of volumes run. Layer: csi; `process-launcher.ts` and `pod-launcher.ts` are the two.
 *
 * Invariant: a daemon is known by its key alone, so that a driver that has just started can end what another one began.
 */
import type { VolumeFiles } from './volume-files.ts'

export interface Launcher {
  /** In words: `a mount Pod`. */
  readonly what: string
  /** Starts the daemon of these files, after whatever is left of the one before. Rejects with `CsiError`. */
  launch(files: VolumeFiles): Promise<void>
  /** Why a daemon that was launched does not serve yet, where that is known. */
  describe(files: VolumeFiles): Promise<string | undefined>
  /** Resolves when it has ended, by force where it does not end by itself. Nothing there: done. */
  stop(files: VolumeFiles): Promise<void>
}
