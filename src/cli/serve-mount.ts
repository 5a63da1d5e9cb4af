/**
 * The process that serves a mount: opens its log, mounts, and stays until it is unmounted. Layer: cli.
 *
 * Invariant: nothing that could have been checked by the command that was typed fails here.
 */
import { writeCompiled } from './compile-cache.ts'
import type { Readiness } from './daemon.ts'
import { awaitTurn, keepOf } from './keeper.ts'
import { failpointFrom } from './failpoint.ts'
import { openLog } from './log-file.ts'
import type { Keep, Keeper, Takeover } from '../mount/keeper.ts'
import { readKernelState } from '../mount/kernel-state.ts'
import type { AgentMountOptions, MountOptions, RunOptions } from '../options/mount-options.ts'
import { showMounted } from '../options/show-address.ts'
import { type Mount, serve } from './serve.ts'
import { tellServing } from './service-manager.ts'
import { prefetchPartsLeftOut } from './without-prefetch.ts'

export interface ServeMountOptions {
  /** It exists. */
  readonly stateDirectory: string
  /** Default: stderr, which of a daemon is its log. */
  readonly logFile: string | undefined
  readonly logLevel: RunOptions['logLevel']
  /** Where each request of the kernel is written down; default: nowhere. */
  readonly traceDescriptor: number | undefined
  /** Of a daemon. */
  readonly readiness: Readiness | undefined
  readonly notifySocket: string | undefined
  /** The mount that it goes on with; default: it mounts. */
  readonly takeover: Takeover | undefined
}

/** Resolves with the exit code. */
export async function serveMount(
  options: MountOptions | AgentMountOptions,
  {
    stateDirectory,
    logFile,
    logLevel,
    traceDescriptor,
    readiness,
    notifySocket,
    takeover,
  }: ServeMountOptions,
): Promise<number> {
  const { directory } = options
  const [mount, { createLogger }, { duplicateOnto, sendDatagram }, { restOfProcess }] = await Promise.all([
    loadMount(options),
    import('./log-output.ts'),
    import('../fuse/libc.ts'),
    import('../mount/rest.ts'),
  ])
  /* a daemon's output is its log already */
  const isOwnFile = readiness === undefined && logFile !== undefined
  const descriptor = isOwnFile ? openLog(logFile) : process.stderr.fd
  const redirect = (from: number): void => {
    for (const to of isOwnFile ? [descriptor] : [process.stdout.fd, descriptor]) duplicateOnto(from, to)
  }
  const forTests = { failpoint: failpointFrom(process.env), leaveOut: prefetchPartsLeftOut(process.env) }
  if (takeover !== undefined) awaitTurn(() => readKernelState(stateDirectory))
  /* in the foreground whoever started it sees it end */
  const isKept = readiness !== undefined && options.restart === 'on'
  const keepWith = isKept ? keepOf(takeover, readiness, directory) : undefined
  let keeper: Keeper | undefined
  const keep: Keep | undefined = keepWith && ((...given) => (keeper = keepWith(...given)))
  const logger = createLogger({
    level: logLevel,
    descriptor,
    place: logFile === undefined ? undefined : { path: logFile, redirect },
    traceDescriptor,
  })
  const rest = restOfProcess()
  return serve(options, {
    mount: (dependencies) =>
      mount({ ...dependencies, ...forTests, onWork: () => rest.worked(), takeover, keep }),
    logger,
    onServing: async () => {
      if (notifySocket === undefined) return
      const mounted = { what: `${showMounted(options)} at ${directory}`, pid: keeper?.pid ?? process.pid }
      await tellServing(notifySocket, mounted, { send: sendDatagram, logger })
    },
    readiness: readiness && {
      ...readiness,
      ready: () => {
        readiness.ready()
        writeCompiled()
      },
    },
  })
}

async function loadMount(options: MountOptions | AgentMountOptions): Promise<Mount> {
  if (options.session === undefined) {
    const { mountAgent } = await import('../mount/mount-agent.ts')
    return (dependencies) => mountAgent(options, dependencies)
  }
  const { mountSession } = await import('../mount/mount.ts')
  return (dependencies) => mountSession(options, dependencies)
}
