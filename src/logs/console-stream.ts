/**
 * Which of the two forms of the log stream a session is asked for. Layer: composition.
 *
 * The documented form names the agent's version; the one without, which azd uses, takes the number of lines
 * to send again, and whether more is wanted than there is. A service that refuses the one as unknown is asked by the
 * other from then on.
 *
 * Invariant: one attempt a form: the follower has its own pace.
 */
import { ServiceError } from '../client/errors.ts'
import type { LogStream } from '../client/operation-options.ts'
import type { SessionClient } from '../client/session-client.ts'

/** The most that the service sends again (service reference: 1 to 300). */
const replayedLines = 300

export interface ConsoleStreamOptions {
  readonly agent: string
  readonly session: string
  /** undefined: only the form without. */
  readonly agentVersion: string | undefined
  /** Which form is asked for first; default `documented`. */
  readonly first?: 'documented' | 'tail' | undefined
  /** Whether more is wanted than there is; the documented form goes on whatever this says. Default true. */
  readonly follow?: boolean | undefined
}

/** Makes the function that opens the stream of one session. */
export function consoleStream(
  client: SessionClient,
  { agent, session, agentVersion, first = 'documented', follow = true }: ConsoleStreamOptions,
): (signal: AbortSignal) => Promise<LogStream> {
  let isDocumented = first === 'documented' && agentVersion !== undefined
  let hasChanged = false
  const open = (signal: AbortSignal): Promise<LogStream> =>
    client.getSessionLogStream(agent, session, {
      signal,
      retry: false,
      ...(isDocumented && agentVersion !== undefined ? { agentVersion } : { tail: replayedLines, follow }),
    })
  return async (signal) => {
    try {
      return await open(signal)
    } catch (error) {
      if (agentVersion === undefined || hasChanged || !isUnknownForm(error)) throw error
      hasChanged = true
      isDocumented = !isDocumented
      return open(signal)
    }
  }
}

/** A 404 that does not say by its code that it is about the session may be about the form. */
function isUnknownForm(error: unknown): boolean {
  if (!(error instanceof ServiceError)) return false
  if (error.code === 'session_not_found') return error.serviceCode !== 'session_not_found'
  return error.code === 'not_found' || error.code === 'unsupported'
}
