/**
 * The sessions of an agent as names in a directory, for whoever remembers listings. Layer: session.
 *
 * Invariant: a whole listing costs the pages of the list and no call about a session. What is over is not listed.
 */
import type { SessionClient } from '../client/session-client.ts'
import type { CallOptions, RemoteEntry, SessionFiles } from '../client/session-files.ts'
import { ServiceError } from '../client/errors.ts'

const over: ReadonlySet<string | undefined> = new Set(['expired', 'deleted', 'deleting', 'failed'])

/** `status`: only those in it; default: all that are not over. The time of each is when it was last used. */
export function agentSessions(client: SessionClient, agent: string, status?: string): SessionFiles {
  const refuse = (path: string): Promise<never> =>
    Promise.reject(new ServiceError('bad_request', `${agent}/${path}: it must be in a session`))
  return {
    async *list(directory: string, { signal, retry, priority }: CallOptions = {}) {
      if (directory !== '') await refuse(directory)
      const found: RemoteEntry[] = []
      for await (const session of client.listSessions(agent, { signal, retry, priority })) {
        if (status === undefined ? over.has(session.status) : session.status !== status) continue
        const modifiedSeconds = session.lastAccessedSeconds ?? session.createdSeconds ?? 0
        found.push({ name: session.sessionId, isDirectory: true, size: 0, modifiedSeconds })
      }
      yield found
    },
    download: refuse,
    upload: refuse,
    remove: refuse,
    makeDirectory: refuse,
  }
}
