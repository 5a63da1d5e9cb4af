/**
 * Events of Pods, as `kubectl describe pod` shows them. Layer: csi.
 */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { Cluster } from './cluster.ts'
import type { Events, PodEvent } from './events.ts'
import { driverName } from './identity-service.ts'
import type { PodInfo } from './volume-attributes.ts'

/* the API refuses longer ones */
const longestMessage = 1024

export interface PodEventsOptions {
  readonly cluster: Cluster
  readonly nodeName: string
  readonly clock: Clock
  readonly logger: Logger
}

export class PodEvents implements Events {
  readonly #options: PodEventsOptions

  constructor(options: PodEventsOptions) {
    this.#options = options
  }

  async post(pod: PodInfo, { reason, message }: PodEvent): Promise<void> {
    const { cluster, nodeName, clock, logger } = this.#options
    const { namespace, name, uid } = pod
    if (name === '') return
    const now = new Date(clock.wallMs()).toISOString()
    try {
      await cluster.createEvent(namespace, {
        metadata: { name: `${name}.${randomUUID()}`, namespace },
        involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace, name, uid },
        type: 'Warning',
        reason,
        message: message.slice(0, longestMessage),
        source: { component: driverName, host: nodeName },
        firstTimestamp: now,
        lastTimestamp: now,
        count: 1,
      })
    } catch (error) {
      logger.warn({ pod, reason, message, err: error }, 'an event could not be posted')
    }
  }
}

/** Where there is no cluster to tell: the log has it. */
export function loggedEvents(logger: Logger): Events {
  return {
    post: (pod, { reason, message }) => {
      logger.warn({ pod, reason }, message)
      return Promise.resolve()
    },
  }
}
