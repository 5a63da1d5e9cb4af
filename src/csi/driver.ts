/**
 * The driver's servers: what it answers, and that the kubelet knows of it. Layer: csi.
 *
 * Invariant: the kubelet hears of the driver once that answers, and no more when it ends.
 */
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import { type ControllerOptions, controllerService } from './controller-service.ts'
import { serveOn } from './grpc-server.ts'
import { identityService } from './identity-service.ts'
import { nodeService, type NodeVolumes } from './node-service.ts'
import { register, type RegistrationOptions } from './registration.ts'

export interface DriverOptions {
  readonly socket: string
  /** undefined: it does not register. */
  readonly kubeletDirectory: string | undefined
  readonly nodeName: string
  readonly volumes: NodeVolumes
  readonly connection: ControllerOptions['connection']
  readonly onRefused: RegistrationOptions['onRefused']
  readonly logger: Logger
  readonly clock: Clock
}

export interface Driver {
  /** Takes no new call and waits for those in hand, until `giveUp`. */
  close(giveUp?: AbortSignal): Promise<void>
}

export async function startDriver(options: DriverOptions): Promise<Driver> {
  const { socket, kubeletDirectory, nodeName, volumes, connection, onRefused, logger, clock } = options
  const services = [
    identityService({ hasController: true }),
    nodeService({ nodeId: nodeName, volumes }),
    controllerService({ connection, clock, logger }),
  ]
  const server = await serveOn(socket, services, { logger })
  const registration =
    kubeletDirectory === undefined
      ? undefined
      : await register({ kubeletDirectory, driverSocket: socket, logger, onRefused })
  logger.info({ socket, node: nodeName }, 'the driver serves')
  return {
    async close(giveUp) {
      await registration?.close(giveUp)
      await server.close(giveUp)
    },
  }
}
