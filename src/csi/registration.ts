/**
 * Makes the driver known to the kubelet: a socket of its own, which the kubelet finds by its place. Layer: csi.
 *
 * Invariant: it is there only while the driver's own socket is, for the kubelet calls that one at once.
 */
import { join } from 'node:path'
import type { Logger } from '../log.ts'
import { type ListeningServer, serveOn } from './grpc-server.ts'
import { driverName } from './identity-service.ts'

export interface RegistrationOptions {
  /** As this process and the kubelet both see it. */
  readonly kubeletDirectory: string
  /** The driver's socket, which listens already. */
  readonly driverSocket: string
  readonly logger: Logger
  /** The kubelet does not take the driver, and asks again only when it has been started anew. */
  readonly onRefused: (reason: string) => void
}

interface RegistrationStatus {
  readonly pluginRegistered: boolean
  readonly error: string
}

export function registrationSocket(kubeletDirectory: string): string {
  return join(kubeletDirectory, 'plugins_registry', `${driverName}-reg.sock`)
}

/** Resolves when the kubelet can ask; what it says of the answer is logged. */
export function register({
  kubeletDirectory,
  driverSocket,
  logger,
  onRefused,
}: RegistrationOptions): Promise<ListeningServer> {
  const plugin = {
    type: 'CSIPlugin',
    name: driverName,
    endpoint: driverSocket,
    /* of the interface; the kubelet takes those of its own major version */
    supportedVersions: ['1.0.0'],
  }
  const handlers = {
    GetInfo: () => Promise.resolve(plugin),
    NotifyRegistrationStatus: ({ pluginRegistered, error }: RegistrationStatus) => {
      if (pluginRegistered) {
        logger.info({ driver: driverName }, 'registered with the kubelet')
      } else {
        logger.error({ driver: driverName, reason: error }, 'the kubelet does not take the driver')
        /* after the answer */
        setImmediate(onRefused, error)
      }
      return Promise.resolve({})
    },
  }
  const service = { proto: 'registration.proto', name: 'pluginregistration.Registration', handlers } as const
  return serveOn(registrationSocket(kubeletDirectory), [service], { logger })
}
