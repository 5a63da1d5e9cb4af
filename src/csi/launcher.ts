/**
 * Where the daemons of volumes run. Layer: csi; `process-launcher.ts` and `pod-launcher.ts` are the two.
 *
 * Invariant: a daemon is known by its key alone, so that a driver that has just started can end what another one began.
 */
import { type Clock, sleep } from '../clock.ts'
import type { VolumeFiles } from './volume-files.ts'

export interface Launcher {
  /** In words: `a mount Pod`. */
  readonly what: string
  /** How often `isGone` may be asked, milliseconds. */
  readonly lookAgainMs: number
  /** Starts the daemon of these files, after whatever is left of the one before. Rejects with `CsiError`. */
  launch(files: VolumeFiles): Promise<void>
  /** Whether a daemon that was launched has ended, or was taken away, with nobody told. Rejects with `CsiError`. */
  isGone(files: VolumeFiles): Promise<boolean>
  /** Why a daemon that was launched does not serve yet, where that is known. */
  describe(files: VolumeFiles): Promise<string | undefined>
  /** Resolves when it has ended, by force where it does not end by itself. Nothing there: done. */
  stop(files: VolumeFiles): Promise<void>
}

/**
 * Looks after a daemon until it has taken the descriptor, from when on its end is heard of. Resolves with whether it
 * ended before.
 */
export async function endsUnheard(
  files: VolumeFiles,
  {
    launcher,
    clock,
    isTaken,
    signal,
  }: {
    readonly launcher: Launcher
    readonly clock: Clock
    readonly isTaken: () => boolean
    readonly signal: AbortSignal
  },
): Promise<boolean> {
  const goesOn = (): boolean => !isTaken() && !signal.aborted
  while (goesOn()) {
    await sleep(clock, launcher.lookAgainMs, signal).catch(() => undefined)
    /* what cannot be asked just now is asked again */
    const isGone = await launcher.isGone(files).catch(() => false)
    if (isGone && goesOn()) return true
  }
  return false
}
