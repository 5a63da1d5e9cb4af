/**
 * Daemons of volumes in Pods of their own on this node. Layer: csi.
 *
 * Invariant: a mount Pod has no privilege: it mounts nothing, and has of the node the two directories of its volume.
 * Each start is a Pod of a new name, so that one that hangs in its deletion is not waited for.
 */
import { randomBytes } from 'node:crypto'
import { type Clock, sleep } from '../clock.ts'
import type { Cluster, PodObject } from './cluster.ts'
import { CsiError } from './csi-error.ts'
import { driverName } from './identity-service.ts'
import type { Launcher } from './launcher.ts'
import type { PodImage } from './own-image.ts'
import type { DaemonUser, VolumeFiles } from './volume-files.ts'

const keyLabel = `${driverName}/volume`
/* what is to be stopped was asked to end before */
const stopGraceSeconds = 1
const stopWithinMs = 30_000
const lookAgainMs = 250

export interface PodLauncherOptions {
  readonly cluster: Cluster
  readonly namespace: string
  readonly nodeName: string
  /** Of this program. */
  readonly image: PodImage
  readonly user: DaemonUser
  /** Of the daemons, such as those of a proxy. */
  readonly environment: Readonly<Record<string, string>>
  readonly clock: Clock
}

export class PodLauncher implements Launcher {
  readonly what = 'a mount Pod'
  readonly lookAgainMs = 2000
  readonly #options: PodLauncherOptions

  constructor(options: PodLauncherOptions) {
    this.#options = options
  }

  async launch(files: VolumeFiles): Promise<void> {
    /* it has ended already, and programs wait */
    await this.#delete(files, 0)
    await this.#options.cluster.createPod(this.#options.namespace, this.#podFor(files))
  }

  async isGone(files: VolumeFiles): Promise<boolean> {
    const pods = await this.#podsOf(files)
    return pods.every(
      ({ metadata, status }) =>
        metadata.deletionTimestamp !== undefined ||
        status?.phase === 'Failed' ||
        status?.phase === 'Succeeded',
    )
  }

  async describe(files: VolumeFiles): Promise<string | undefined> {
    const pods = await this.#podsOf(files).catch((error: unknown) => (error as Error).message)
    if (typeof pods === 'string') return pods
    const pod = pods.findLast(({ metadata }) => metadata.deletionTimestamp === undefined)
    if (pod === undefined) return 'it was deleted'
    const { phase = 'Pending', message, conditions = [], containerStatuses = [] } = pod.status ?? {}
    const waiting = containerStatuses.map(({ state }) => state?.waiting).find((each) => each !== undefined)
    const why =
      [waiting?.reason, waiting?.message].filter((each) => each !== undefined).join(': ') ||
      message ||
      conditions.find((each) => each.status === 'False' && each.message !== undefined)?.message
    return `Pod ${pod.metadata.name} is ${phase}${why === undefined ? '' : ` (${why})`}`
  }

  /* a Pod is in the API until the kubelet has seen its processes end, unless it is deleted by force */
  async stop(files: VolumeFiles): Promise<void> {
    const { clock } = this.#options
    const lateMs = clock.now() + stopWithinMs
    let left = await this.#delete(files, stopGraceSeconds)
    while (left.length > 0) {
      if (clock.now() > lateMs)
        throw new CsiError(
          'unavailable',
          `Pod ${left.map(({ metadata }) => metadata.name).join(', ')} does not end`,
        )
      await sleep(clock, lookAgainMs)
      left = await this.#podsOf(files)
    }
  }

  async #delete(files: VolumeFiles, graceSeconds: number): Promise<readonly PodObject[]> {
    const { cluster, namespace } = this.#options
    const pods = await this.#podsOf(files)
    await Promise.all(pods.map(({ metadata }) => cluster.deletePod(namespace, metadata.name, graceSeconds)))
    return pods
  }

  #podsOf({ key }: VolumeFiles): Promise<readonly PodObject[]> {
    const { cluster, namespace, nodeName } = this.#options
    return cluster.listPods(namespace, { label: `${keyLabel}=${key}`, nodeName })
  }

  #podFor({ key, run, state }: VolumeFiles): object {
    const { user, nodeName, environment } = this.#options
    const { image, imagePullPolicy = 'IfNotPresent', imagePullSecrets } = this.#options.image
    const directories = [
      { name: 'run', path: run },
      { name: 'state', path: state },
    ]
    return {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: `mount-${key}-${randomBytes(3).toString('hex')}`,
        labels: { 'app.kubernetes.io/name': 'mount-session-volume', [keyLabel]: key },
      },
      spec: {
        nodeName,
        restartPolicy: 'Never',
        terminationGracePeriodSeconds: 10,
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        imagePullSecrets,
        /* volumes of running Pods stand on it */
        priorityClassName: 'system-node-critical',
        tolerations: [{ operator: 'Exists' }],
        securityContext: {
          runAsUser: user.uid,
          runAsGroup: user.gid,
          seccompProfile: { type: 'RuntimeDefault' },
        },
        containers: [
          {
            name: 'daemon',
            image,
            imagePullPolicy,
            args: ['csi-volume', run],
            env: Object.entries({ ...environment, HOME: state }).map(([name, value]) => ({ name, value })),
            securityContext: {
              allowPrivilegeEscalation: false,
              readOnlyRootFilesystem: true,
              capabilities: { drop: ['ALL'] },
            },
            resources: { requests: { cpu: '20m', memory: '128Mi' } },
            volumeMounts: [
              ...directories.map(({ name, path }) => ({ name, mountPath: path })),
              { name: 'tmp', mountPath: '/tmp' },
            ],
          },
        ],
        volumes: [
          ...directories.map(({ name, path }) => ({ name, hostPath: { path, type: 'Directory' } })),
          { name: 'tmp', emptyDir: {} },
        ],
      },
    }
  }
}
