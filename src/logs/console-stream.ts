/**
 * Which of the two forms of the log stream a session is asked for. Layer: composition.
 *
 * The documented form names the agent's version; the one without, which azd uses, takes the number of lines
 * to send again, and whether more is wanted than there is. A service that refuses the one as unknown is asked by the
 * other from then on.
 */
import { ServiceError } from '../client/errors.ts'
import type { LogStream } from '../client/operation-options.ts'
import type { SessionClient } from '../client/session-client.ts'

/** The most that the service sends again (service reference: 1 to 300). */
const replayedLines = 300

/** Makes the function that opens the stream of one session. It makes one attempt: the follower has its own pace. */
export function consoleStream(
  client: SessionClient,
  {
    agent,
    session,
    agentVersion,
    follow = true,
  }: { agent: string; session: string; agentVersion: string | undefined; follow?: boolean },
): (signal: AbortSignal) => Promise<LogStream> {
  /* only the other form can be asked for what there is alone */
  let knowsVersions = agentVersion !== undefined && follow
  let hasChanged = false
  const open = (signal: AbortSignal): Promise<LogStream> =>
    client.getSessionLogStream(agent, session, {
      signal,
      retry: false,
      ...(knowsVersions && agentVersion !== undefined ? { agentVersion } : { tail: replayedLines, follow }),
    })
  return async (signal) => {
    try {
      return await open(signal)
    } catch (error) {
      const isUnknown =
        error instanceof ServiceError && (error.code === 'not_found' || error.code === 'unsupported')
      /* without a version there is one form alone */
      if (agentVersion === undefined || hasChanged || !isUnknown) throw error
      hasChanged = true
      knowsVersions = !knowsVersions
      return open(signal)
    }
  }
}
