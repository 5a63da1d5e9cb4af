/**
 * The calls of the kubelet about the volumes of this node. Layer: csi.
 *
 * Invariant: decides only whether a request makes sense; what is mounted, and by whom, is behind `NodeVolumes`.
 */
import { isAbsolute } from 'node:path'
import { checkCapability } from './capability.ts'
import { CsiError } from './csi-error.ts'
import type { CallContext, ServedService } from './grpc-server.ts'
import type { NodePublishVolumeRequest, NodeUnpublishVolumeRequest } from './messages.ts'
import { readVolume, type VolumeSpec } from './volume-attributes.ts'

export interface NodeVolumes {
  /** Mounts the volume at the target, or renews its credentials where it is there. Rejects with `CsiError`. */
  publish(
    spec: VolumeSpec,
    target: { readonly path: string; readonly volumeId: string },
    signal: AbortSignal,
  ): Promise<void>
  /** Ends in any case. Nothing there: done. */
  unpublish(targetPath: string, signal: AbortSignal): Promise<void>
}

export interface NodeOptions {
  /** The node's name, as the cluster has it. */
  readonly nodeId: string
  readonly volumes: NodeVolumes
}

export function nodeService({ nodeId, volumes }: NodeOptions): ServedService {
  return {
    proto: 'csi.proto',
    name: 'csi.v1.Node',
    handlers: {
      NodeGetInfo: () => Promise.resolve({ nodeId }),
      NodeGetCapabilities: () => Promise.resolve({ capabilities: [{ rpc: { type: 'VOLUME_MOUNT_GROUP' } }] }),
      NodePublishVolume: (request: NodePublishVolumeRequest, context: CallContext) =>
        publish(volumes, request, context),
      NodeUnpublishVolume: (request: NodeUnpublishVolumeRequest, context: CallContext) =>
        unpublish(volumes, request, context),
    },
  }
}

async function publish(
  volumes: NodeVolumes,
  request: NodePublishVolumeRequest,
  { signal }: CallContext,
): Promise<object> {
  const { volumeId, volumeCapability } = request
  const path = targetOf(request)
  checkCapability(volumeCapability)
  await volumes.publish(readVolume(request), { path, volumeId }, signal)
  return {}
}

async function unpublish(
  volumes: NodeVolumes,
  request: NodeUnpublishVolumeRequest,
  { signal }: CallContext,
): Promise<object> {
  await volumes.unpublish(targetOf(request), signal)
  return {}
}

function targetOf({ volumeId, targetPath }: NodeUnpublishVolumeRequest): string {
  if (volumeId === '') throw new CsiError('invalidArgument', 'volume_id is missing')
  if (targetPath === '') throw new CsiError('invalidArgument', 'target_path is missing')
  if (!isAbsolute(targetPath))
    throw new CsiError('invalidArgument', `target_path: ${targetPath} is no absolute path`)
  return targetPath
}
