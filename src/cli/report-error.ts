/**
 * What the user is told when a command fails. Layer: cli.
 *
 * Invariant: one line, `mount-session: what: what to do`, and a hint where the command line itself is wrong;
 * a stack only for what is our own mistake.
 */
import { ControlError } from '../control/protocol.ts'
import { SessionError } from '../session/session-error.ts'
import { ServiceError } from '../client/errors.ts'
import { TransferError } from '../transfer/transfer-error.ts'
import { HelpShown } from './command-line.ts'
import { UsageError } from './usage-error.ts'

/** Prints it and returns the exit code. */
export function reportError(error: unknown): number {
  if (error instanceof HelpShown) {
    return 0
  }
  if (error instanceof UsageError) {
    const help =
      error.command === undefined ? 'mount-session --help' : `mount-session ${error.command} --help`
    complain(`${error.message}\nTry "${help}".`)
    return 2
  }
  complain(describeFailure(error))
  return 1
}

/** One line for a failure whose kind is known, or the stack of one that is not. */
export function describeFailure(error: unknown): string {
  if (isExpected(error)) {
    return error.message.replaceAll('\n', ' ')
  }
  return `internal error, please report it: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`
}

/* errors of system calls carry their name and path in the message already */
function isExpected(error: unknown): error is Error {
  return (
    error instanceof SessionError ||
    error instanceof ControlError ||
    error instanceof ServiceError ||
    error instanceof TransferError ||
    error instanceof CommandFailure ||
    (error instanceof Error && 'syscall' in error)
  )
}

/** A command could not do what it was asked to, for a reason of its own. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure'
}

export function complain(message: string): void {
  process.stderr.write(`mount-session: ${message}\n`)
}
