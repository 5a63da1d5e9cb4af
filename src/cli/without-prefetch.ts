/**
 * `MOUNT_SESSION_WITHOUT_PREFETCH=NAME[,NAME]`: a mount that leaves parts of the fetching ahead out. For the
 * benchmark. Layer: cli.
 *
 * Invariant: without the variable nothing is handed down, and nothing is left out.
 */
import { prefetchParts, type PrefetchPart } from '../session/prefetch-parts.ts'
import { CommandFailure } from './report-error.ts'

export const withoutPrefetchVariable = 'MOUNT_SESSION_WITHOUT_PREFETCH'

export function prefetchPartsLeftOut(env: NodeJS.ProcessEnv): ReadonlySet<PrefetchPart> | undefined {
  const given = env[withoutPrefetchVariable]
  if (given === undefined || given === '') return undefined
  const known = new Map<string, PrefetchPart>(prefetchParts.map((part) => [part, part]))
  return new Set(
    given.split(',').map((name) => {
      const part = known.get(name)
      if (part !== undefined) return part
      throw new CommandFailure(
        `${withoutPrefetchVariable}=${given}: not NAME[,NAME] with each of: ${prefetchParts.join(', ')}`,
      )
    }),
  )
}
