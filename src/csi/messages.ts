/**
 * The messages of the container storage interface that the driver reads and writes, as `grpc-server.ts` decodes them.
 * Layer: csi; names and meaning are those of the CSI specification 1.13, https://github.com/container-storage-interface/spec.
 *
 * Invariant: what a caller left out is there with its default: '' for a text, {} for a map, null for a message; but for
 * what is one of several.
 */
export type TextMap = Readonly<Record<string, string>>

export interface MountVolume {
  readonly fsType: string
  readonly mountFlags: readonly string[]
  /** The Pod's `fsGroup`, as decimal digits. */
  readonly volumeMountGroup: string
}

export interface VolumeCapability {
  /** One of the two is there; the other is not even null. */
  readonly mount?: MountVolume | null
  readonly block?: object | null
  readonly accessMode: { readonly mode: string } | null
}

export interface CapacityRange {
  readonly requiredBytes: number
  readonly limitBytes: number
}

export interface NodePublishVolumeRequest {
  readonly volumeId: string
  readonly publishContext: TextMap
  readonly stagingTargetPath: string
  readonly targetPath: string
  readonly volumeCapability: VolumeCapability | null
  readonly readonly: boolean
  readonly secrets: TextMap
  readonly volumeContext: TextMap
}

export interface NodeUnpublishVolumeRequest {
  readonly volumeId: string
  readonly targetPath: string
}

export interface CreateVolumeRequest {
  readonly name: string
  readonly capacityRange: CapacityRange | null
  readonly volumeCapabilities: readonly VolumeCapability[]
  readonly parameters: TextMap
  readonly secrets: TextMap
  readonly volumeContentSource: object | null
}

export interface Volume {
  /** 0: not known. */
  readonly capacityBytes: number
  readonly volumeId: string
  readonly volumeContext: TextMap
}

export interface DeleteVolumeRequest {
  readonly volumeId: string
  readonly secrets: TextMap
}

export interface ValidateVolumeCapabilitiesRequest {
  readonly volumeId: string
  readonly volumeContext: TextMap
  readonly volumeCapabilities: readonly VolumeCapability[]
  readonly parameters: TextMap
  readonly secrets: TextMap
}
