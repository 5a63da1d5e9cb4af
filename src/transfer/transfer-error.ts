/**
 * A path that cannot be copied, for a reason that is neither the service's nor the system's. Layer: transfer.
 *
 * Invariant: the message names the path, says why, and what to do.
 */

/**
 * - `too_large` over the service's limit: nothing was sent
 * - `changing` it is written while it is copied
 * - `bad_name` a name that the other side cannot have
 * - `not_a_file` neither file nor directory, or a loop of links
 */
export type TransferErrorCode = 'too_large' | 'changing' | 'bad_name' | 'not_a_file'

export class TransferError extends Error {
  override readonly name = 'TransferError'
  readonly code: TransferErrorCode
  readonly paths: readonly string[]

  constructor(code: TransferErrorCode, paths: readonly string[], message: string) {
    super(message)
    this.code = code
    this.paths = paths
  }
}
