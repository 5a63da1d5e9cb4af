/**
 * Why a session cannot be served, in words for whoever reads the events of its Pod. Layer: csi.
 *
 * Invariant: what to do is said in terms of the Pod and the cluster: nobody can log in on a node.
 */
import { showMounted } from '../options/show-address.ts'
import { SessionError } from '../session/session-error.ts'
import { tokenAudience } from './volume-attributes.ts'
import type { VolumeDescription } from './volume-files.ts'

export function failedStart(
  error: Error,
  { options, credential, pod }: Pick<VolumeDescription, 'options' | 'credential' | 'pod'>,
): string {
  const code = error instanceof SessionError ? error.code : undefined
  const session = showMounted(options)
  if (code === 'forbidden')
    return `${session}: belongs to another identity, or who signs in has no role that may use it: see the secret's isolationKey, the attribute userIdentity and the roles in the project (${origin(error)})`
  if (code !== 'unauthorized') return error.message
  if (credential.kind === 'token')
    return `${session}: the token is refused or has ended: put a valid one into the secret that nodePublishSecretRef names (${origin(error)})`
  const { namespace, serviceAccount } = pod
  return `${session}: not signed in as ${credential.clientId}: its federated credential has to be for the cluster's issuer, the subject system:serviceaccount:${namespace}:${serviceAccount} and the audience ${tokenAudience} (${origin(error)})`
}

/** What it all came of. */
function origin(error: Error): string {
  let last = error
  while (last.cause instanceof Error) last = last.cause
  return last.message
}
