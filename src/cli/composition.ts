/**
 * Loads the composition roots, which bring everything below with them. Layer: cli.
 *
 * Invariant: called only by the commands that need them, so that the others start at once.
 */
import type { MountSession } from '../mount/mounted-session.ts'
import type { RecoverSession } from '../session-recovery.ts'

export async function loadMountSession(): Promise<MountSession> {
  return (await import('../mount/mount.ts')).mountSession
}

export async function loadRecoverSession(): Promise<RecoverSession> {
  return (await import('../session/recover.ts')).recoverSession
}
