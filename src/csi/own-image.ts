/**
 * The image that this program runs from, for the mount Pods that it starts. Layer: csi.
 *
 * Invariant: driver and mount Pods are of one version, and whatever lets a node pull the one lets it pull the other.
 */
import type { Cluster } from './cluster.ts'
import { CsiError } from './csi-error.ts'

export interface PodImage {
  readonly image: string
  readonly imagePullPolicy?: string | undefined
  readonly imagePullSecrets?: readonly { readonly name: string }[] | undefined
}

/** Of the container `driver` of its Pod, or the first where none is called so. Rejects with `CsiError`. */
export async function ownImage(cluster: Cluster, podName: string): Promise<PodImage> {
  const { spec } = await cluster.getPod(cluster.namespace, podName)
  const containers = spec?.containers ?? []
  const { image, imagePullPolicy } = containers.find(({ name }) => name === 'driver') ?? containers[0] ?? {}
  if (image === undefined)
    throw new CsiError('internal', `Pod ${podName} has no image to start mount Pods from`)
  return { image, imagePullPolicy, imagePullSecrets: spec?.imagePullSecrets }
}
