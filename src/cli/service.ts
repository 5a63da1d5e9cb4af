/**
 * A command's talk with the service, without a mount. Layer: cli.
 *
 * Invariant: the client is closed whatever happens, Ctrl-C ends what is under way, and a failure is one line with
 * its remedy.
 */
import { systemClock } from '../clock.ts'
import type { SessionClient } from '../client/session-client.ts'
import type { ServiceOptions } from '../options/mount-options.ts'
import type { OptionValues } from '../options/table.ts'
import { interruption, InterruptedError } from './interruption.ts'
import { createLogger } from './log-output.ts'
import { CommandFailure } from './report-error.ts'
import { requireEndpoint } from './session-arguments.ts'

export interface Conversation {
  readonly client: SessionClient
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal
}

/** What the service is reached by; throws `UsageError` where no endpoint is given. */
export function serviceOptionsOf(values: OptionValues): ServiceOptions {
  return { ...values, endpoint: requireEndpoint(values.endpoint) }
}

/** Runs `use` with a client; `about` is what a failure is told of. */
export async function talkToService<Result>(
  values: OptionValues,
  about: { readonly agent: string; readonly session?: string | undefined },
  use: (conversation: Conversation) => Promise<Result>,
): Promise<Result> {
  const options = serviceOptionsOf(values)
  const { asSessionError, newClient } = await import('../session/connect.ts')
  const logger = createLogger({ level: 'warn', descriptor: process.stderr.fd })
  using interrupted = interruption()
  const client = newClient(options, { clock: systemClock, logger })
  try {
    return await use({ client, signal: interrupted.signal })
  } catch (error) {
    if (error instanceof CommandFailure) throw error
    if (interrupted.signal.aborted || error instanceof InterruptedError)
      throw new CommandFailure('interrupted')
    throw asSessionError(error, { ...options, ...about })
  } finally {
    await client.close()
  }
}
