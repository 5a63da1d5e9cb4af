/**
 * `mount-session csi`: the driver for Kubernetes. Layer: cli.
 *
 * Invariant: its end leaves every mount as it is, for the driver that follows; what it was told is checked before it
 * listens.
 */
import { mkdirSync, openSync, readFileSync, realpathSync } from 'node:fs'
import { hostname } from 'node:os'
import { extname, join, resolve } from 'node:path'
import { systemClock } from '../clock.ts'
import type { Events } from '../csi/events.ts'
import type { Launcher } from '../csi/launcher.ts'
import type { DaemonUser } from '../csi/volume-files.ts'
import type { Logger } from '../log.ts'
import { readCommand } from './command-line.ts'
import { daemonFlags } from './daemon.ts'
import { CommandFailure } from './report-error.ts'
import type { commandList } from './table/command-list.ts'
import type { FlagsOf } from './table/command-row.ts'

type Flags = FlagsOf<typeof commandList.csi>

const defaultUser: DaemonUser = { uid: 65532, gid: 65532 }
const defaultDrainMs = 60_000
/* calls in hand end by themselves; the kubelet asks again */
const lastCallsMs = 5000
/* a mount that no daemon has would be lost */
const nextDaemonsMs = 20_000

/* what mount Pods have of the driver's environment: the way to the service, and where to sign in in another cloud */
const handedOn = [
  ...['HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy', 'NO_PROXY', 'no_proxy'],
  'AZURE_AUTHORITY_HOST',
]

export async function run(argv: readonly string[]): Promise<number> {
  const { flags, values } = readCommand('csi', argv)
  if (process.platform !== 'linux') throw new CommandFailure('the driver needs FUSE of Linux')
  /* beside an external-provisioner it mounts nothing */
  if (process.getuid?.() !== 0 && !flags.noRegistration)
    throw new CommandFailure('the driver mounts for others: run it as root, in a privileged container')
  const { createLogger } = await import('./log-output.ts')
  const logLevel = flags.logLevel ?? 'info'
  const logger = createLogger({ level: logLevel, descriptor: process.stderr.fd })
  const [{ SessionMounts }, { startDriver }] = await Promise.all([
    import('../csi/session-mounts.ts'),
    import('../csi/driver.ts'),
  ])
  const kubeletDirectory = resolve(flags.kubeletDirectory ?? '/var/lib/kubelet')
  const nodeName = flags.node ?? process.env['NODE_NAME'] ?? hostname()
  const user = flags.user ?? defaultUser
  const { httpsProxy, allProxy, noProxy } = values
  const proxies = { httpsProxy, allProxy, noProxy }
  const caFile = flags.caFile === undefined ? undefined : resolve(flags.caFile)
  const place = await placeOfDaemons(flags, { nodeName, user, logger })
  const plugin = join(kubeletDirectory, 'plugins', 'csi.mount-session')
  const volumes = new SessionMounts({
    ...place,
    roots: {
      run: resolve(flags.runDirectory ?? '/run/mount-session'),
      state: resolve(flags.stateDirectory ?? '/var/lib/mount-session'),
      mounts: await placeOfMounts(plugin, !flags.noRegistration),
    },
    common: proxies,
    certificates: caFile === undefined ? undefined : readFileSync(caFile, 'utf8'),
    program: daemonProgram(),
    ...{ user, logLevel, logger, clock: systemClock, drainMs: flags.drain ?? defaultDrainMs },
  })
  await volumes.adopt()
  const stopped = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(name, () => stopped.abort(new Error(`stopped by ${name}`)))
  const socket = resolve(flags.socket ?? join(plugin, 'csi.sock'))
  const driver = await startDriver({
    socket,
    kubeletDirectory: flags.noRegistration ? undefined : kubeletDirectory,
    ...{ nodeName, volumes, logger, clock: systemClock },
    connection: { ...proxies, caFile },
    onRefused: (reason) => stopped.abort(new CommandFailure(`the kubelet refused the driver: ${reason}`)),
  })
  process.stdout.write(`${socket}\n`)
  await new Promise((end) => stopped.signal.addEventListener('abort', end, { once: true }))
  await driver.close(AbortSignal.timeout(lastCallsMs))
  await volumes.heldByDaemons(AbortSignal.timeout(nextDaemonsMs))
  const reason: unknown = stopped.signal.reason
  if (reason instanceof CommandFailure) throw reason
  logger.info({}, 'the driver ends; what is mounted stays')
  /* the descriptors that it holds are those of the next driver, too */
  process.exit(0)
}

async function placeOfDaemons(
  { inProcess, image: givenImage, namespace }: Flags,
  {
    nodeName,
    user,
    logger,
  }: { readonly nodeName: string; readonly user: DaemonUser; readonly logger: Logger },
): Promise<{ readonly launcher: Launcher; readonly events: Events }> {
  const [{ clusterOfPod, Cluster }, { PodEvents, loggedEvents }] = await Promise.all([
    import('../csi/cluster.ts'),
    import('../csi/pod-events.ts'),
  ])
  const found = clusterOfPod(process.env)
  const cluster = found === undefined ? undefined : new Cluster(found)
  const events =
    cluster === undefined
      ? loggedEvents(logger)
      : new PodEvents({ cluster, nodeName, clock: systemClock, logger })
  if (inProcess) {
    const { ProcessLauncher } = await import('../csi/process-launcher.ts')
    return { launcher: new ProcessLauncher(daemonProgram(), user), events }
  }
  if (cluster === undefined)
    throw new CommandFailure(
      'there is no cluster to start mount Pods in: run it in a Pod, or give --in-process',
    )
  const [{ PodLauncher }, { ownImage }] = await Promise.all([
    import('../csi/pod-launcher.ts'),
    import('../csi/own-image.ts'),
  ])
  const image =
    givenImage === undefined
      ? await ownImage(cluster, process.env['POD_NAME'] ?? hostname())
      : { image: givenImage }
  const environment = Object.fromEntries(
    handedOn.flatMap((name) => {
      const value = process.env[name]
      return value === undefined ? [] : [[name, value]]
    }),
  )
  const where = { namespace: namespace ?? cluster.namespace, nodeName, image, user, environment }
  return { launcher: new PodLauncher({ cluster, clock: systemClock, ...where }), events }
}

/**
 * Made, for this driver alone, and as the mount table has it: the kubelet's directory is often a link to a larger disk.
 * Beside a provisioner nothing is mounted, and it need not be there.
 */
async function placeOfMounts(plugin: string, isNode: boolean): Promise<string> {
  const { tryLock } = await import('../fuse/libc.ts')
  const mounts = join(plugin, 'mounts')
  let lock
  try {
    mkdirSync(mounts, { recursive: true, mode: 0o755 })
    lock = openSync(join(plugin, 'driver.lock'), 'a', 0o600)
  } catch (error) {
    if (!isNode) return mounts
    throw new CommandFailure(
      `${mounts}: cannot be made (${(error as Error).message}): see that it can be written to`,
    )
  }
  /* let go of with the end of this process; two would take each other's daemons away */
  if (!tryLock(lock)) throw new CommandFailure(`${plugin}: another driver runs there: end it first`)
  return realpathSync(mounts)
}

function daemonProgram(): readonly string[] {
  const entry = join(import.meta.dirname, `main${extname(import.meta.filename)}`)
  return [process.execPath, ...daemonFlags, ...process.execArgv, entry, 'csi-volume']
}
