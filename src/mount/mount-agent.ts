/**
 * Mounts all sessions of an agent at a directory. Layer: mount; `mount-at.ts` does what is the same for all that can be
 * mounted.
 */
import type { AgentMountOptions } from '../options/mount-options.ts'
import { makeAgentDirectories } from '../session/directories.ts'
import { openAgent } from '../session/open-agent.ts'
import { mountAt } from './mount-at.ts'
import type { MountDependencies, MountedSession } from './mounted-session.ts'

/** Rejects with `SessionError`. */
export type MountAgent = (
  options: AgentMountOptions,
  dependencies: MountDependencies,
) => Promise<MountedSession>

export const mountAgent: MountAgent = (given, dependencies) =>
  mountAt(given, dependencies, {
    stateDirectory: (options) => makeAgentDirectories(options, options).state,
    async open(options, { continued, ...others }) {
      const { logger, signal, credential } = others
      const opening = openAgent(options, { logger, signal, isContinued: continued !== undefined, credential })
      const loading = import('./agent-filesystem.ts')
      const agent = await opening
      const { AgentFilesystem } = await loading
      return {
        stateDirectory: agent.directories.state,
        make: (lives) => new AgentFilesystem(agent, options, others, lives),
        close: () => agent.close(),
      }
    },
  })
