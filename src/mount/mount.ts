/**
 * Mounts a session at a directory. Layer: mount; `mount-at.ts` does what is the same for all that can be mounted.
 *
 * Invariant: what needs the service's first answer is loaded while that is under way.
 */
import type { MountOptions } from '../options/mount-options.ts'
import { nameOf, parentOf } from '../remote-path.ts'
import { makeSessionDirectories } from '../session/directories.ts'
import { openSession, type OpenSession } from '../session/open-session.ts'
import { SessionError } from '../session/session-error.ts'
import { mountAt } from './mount-at.ts'
import type { MountSession } from './mounted-session.ts'

export const mountSession: MountSession = (given, dependencies) =>
  mountAt(given, dependencies, {
    stateDirectory: (options) => makeSessionDirectories(options, options).state,
    async open(options, { continued, ...others }) {
      const opening = openSession(options, { ...others, continued })
      const loading = import('./session-filesystem.ts')
      const session = await opening
      try {
        const { SessionFilesystem } = await loading
        if (continued === undefined) await checkSubdirectory(options, session, others.signal)
        const { logger } = others
        return {
          stateDirectory: session.directories.state,
          make: (lives) => new SessionFilesystem(session, options, logger, lives),
          close: () => session.close(),
        }
      } catch (error) {
        await session.close()
        throw error
      }
    },
  })

/** A part of a session that is not there is more often misspelt than to be made. */
async function checkSubdirectory(
  { agent, session: name, subdirectory: path }: MountOptions,
  { changes, listings }: OpenSession,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (path === undefined) return
  const ours = changes.get(path)
  const isOurs = ours?.kind === 'directory' || changes.hasUploadsBelow(path)
  if (isOurs) return
  const { entries } = await listings.list(parentOf(path), { signal })
  if (entries.get(nameOf(path))?.isDirectory === true && ours === undefined) return
  throw new SessionError(
    'noSuchDirectory',
    `${agent}/${name}:${path}: no such directory in the session: make it first, or mount what is above it`,
  )
}
