/**
 * What a call of the container storage interface fails with. Layer: csi.
 *
 * Invariant: the message is one line for whoever reads the Pod's events, with the remedy in it; the code is what the
 * kubelet goes by, and never a secret's value.
 */
export type CsiCode =
  /** The request, or an attribute of the volume, is wrong: it fails again until somebody changes it. */
  | 'invalidArgument'
  | 'notFound'
  | 'alreadyExists'
  | 'permissionDenied'
  | 'unauthenticated'
  /** Something else has to end first. */
  | 'failedPrecondition'
  /** Another call about the same volume is under way. */
  | 'aborted'
  | 'unimplemented'
  | 'deadlineExceeded'
  /** The service, or the cluster, does not answer: the same call may succeed later. */
  | 'unavailable'
  | 'internal'

export class CsiError extends Error {
  override readonly name = 'CsiError'
  readonly code: CsiCode

  constructor(code: CsiCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}
