/**
 * Mounts all sessions of an agent at a directory. Layer: mount.
 *
 * Invariant: a mount that fails leaves nothing behind.
 */
import type { AgentMountOptions } from '../options/mount-options.ts'
import type { MountDependencies, MountedSession } from './mounted-session.ts'

/** Rejects with `SessionError`. */
export type MountAgent = (
  options: AgentMountOptions,
  dependencies: MountDependencies,
) => Promise<MountedSession>

export const mountAgent: MountAgent = () => Promise.reject(new Error('not built yet'))
