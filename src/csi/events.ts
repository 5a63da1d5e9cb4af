/**
 * What the driver tells a Pod's owner beside the answers to the kubelet, whose failures are events already. Layer: csi.
 */
import type { PodInfo } from './volume-attributes.ts'

export interface PodEvent {
  /** - `MountLost`: what is mounted does not answer any more, for good
   *  - `ChangesKept`: the volume is gone, changes that the service does not have are on the node */
  readonly reason: 'MountLost' | 'ChangesKept'
  /** With what to do. */
  readonly message: string
}

export interface Events {
  /** Never rejects: what could not be told is logged. */
  post(pod: PodInfo, event: PodEvent): Promise<void>
}
