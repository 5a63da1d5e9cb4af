/**
 * What is wrong with a command line itself. Layer: cli.
 *
 * Invariant: ends with exit code 2 and a hint to `--help`; anything that the world is to blame for ends with 1.
 */

export class UsageError extends Error {
  override readonly name = 'UsageError'
  /** The command whose `--help` says more; undefined: mounting. */
  readonly command: string | undefined

  constructor(message: string, command?: string) {
    super(message)
    this.command = command
  }
}
