/**
 * Which of the two forms of the log stream a session is asked for. Layer: composition.
 *
 * The documented form names the agent's version; the one without, which azd uses, takes the number of lines
 * to send again. A service that refuses the one as unknown is asked by the other from then on.
 */
import { ServiceError } from '../client/errors.ts'
import type { LogStream } from '../client/operation-options.ts'
import type { SessionClient } from '../client/session-client.ts'

/** The most that the service sends again (service reference: 1 to 300). */
const replayedLines = 300

/** Makes the function that opens the stream of one session. It makes one attempt: the follower has its own pace. */
export function consoleStream(
  client: SessionClient,
  { agent, session, agentVersion }: { agent: string; session: string; agentVersion: string | undefined },
): (signal: AbortSignal) => Promise<LogStream> {
  let knowsVersions = agentVersion !== undefined
  const open = (signal: AbortSignal): Promise<LogStream> =>
    client.getSessionLogStream(agent, session, {
      signal,
      retry: false,
      ...(knowsVersions && agentVersion !== undefined
        ? { agentVersion }
        : { tail: replayedLines, follow: true }),
    })
  return async (signal) => {
    try {
      return await open(signal)
    } catch (error) {
      const isUnknown =
        error instanceof ServiceError && (error.code === 'not_found' || error.code === 'unsupported')
      if (!knowsVersions || !isUnknown) throw error
      knowsVersions = false
      return open(signal)
    }
  }
}
