/**
 * A command that takes several sessions. Layer: cli.
 *
 * Invariant: they are asked for at the same time and told of in the order of the command line; each failure is one
 * line, keeps no other from being done, and makes the exit code 1.
 */
import type { ServiceError } from '../../client/errors.ts'
import type { SessionAddress } from '../../options/mount-options.ts'
import { showAddress } from '../../options/show-address.ts'
import type { OptionValues } from '../../options/table.ts'
import { complain, describeFailure } from '../report-error.ts'
import { serviceOptionsOf, type Conversation } from '../service.ts'
import { parseAddress } from '../session-arguments.ts'
import type { CommandName } from '../table/command-list.ts'

export type Address = Pick<SessionAddress, 'agent' | 'session'>

/** The sessions of a command line, each once; throws `UsageError`. */
export function sessionsOf(words: readonly string[], command: CommandName): readonly Address[] {
  return [...new Set(words)].map((word) => parseAddress(word, command))
}

/** Runs `act` for all and `tell` for each that went well; answers those that did. */
export async function forEach<Result>(
  values: OptionValues,
  { signal }: Conversation,
  sessions: readonly Address[],
  act: (address: Address) => Promise<Result>,
  tell: (result: Result, address: Address) => void,
): Promise<readonly Address[]> {
  const { asSessionError } = await import('../../session/connect.ts')
  const outcomes = sessions.map((address) =>
    act(address).then(
      (result) => ({ result }),
      (error: unknown) => ({ error }),
    ),
  )
  const done: Address[] = []
  for (const [index, address] of sessions.entries()) {
    const outcome = (await outcomes[index]) ?? { error: undefined }
    if ('result' in outcome) {
      tell(outcome.result, address)
      done.push(address)
      continue
    }
    const name = showAddress(address)
    const mayBeDone = isAmbiguous(outcome.error)
      ? `; it may be done all the same: "mount-session session show ${name}"`
      : ''
    const failure = signal.aborted
      ? `${name}: interrupted`
      : describeFailure(asSessionError(outcome.error, { ...serviceOptionsOf(values), ...address }))
    complain(`${failure.includes(name) ? failure : `${name}: ${failure}`}${mayBeDone}`)
  }
  return done
}

export function isAmbiguous(error: unknown): boolean {
  return error instanceof Error && 'ambiguous' in error && (error as ServiceError).ambiguous
}
