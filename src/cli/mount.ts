/**
 * `mount-session [options] AGENT/SESSION DIR`, or `AGENT/ DIR`. Layer: cli.
 *
 * Invariant: returns 0 only when the mount answers. Whatever can be checked without the service is checked
 * here, before a daemon is spawned; the daemon runs this same function and stays.
 */
import { extname, join } from 'node:path'
import type { AgentMountOptions, MountOptions } from '../options/mount-options.ts'
import { showAddress, showMounted } from '../options/show-address.ts'
import { makeAgentDirectories, makeSessionDirectories } from '../session/directories.ts'
import { writeCompiled } from './compile-cache.ts'
import { becomeDaemon, readinessPipe } from './daemon.ts'
import { awaitTurn, keepOf, takeoverFrom } from './keeper.ts'
import { CommandFailure } from './report-error.ts'
import { failpointFrom } from './failpoint.ts'
import { openLog, openTrace } from './log-file.ts'
import { parseMountCommand } from './mount-arguments.ts'
import type { Keep, Keeper } from '../mount/keeper.ts'
import { readKernelState } from '../mount/kernel-state.ts'
import { prepareMountPoint } from '../mount/mount-point.ts'
import { type Mount, serve } from './serve.ts'
import { notifySocketFrom, tellServing } from './service-manager.ts'
import { prefetchPartsLeftOut } from './without-prefetch.ts'

export async function run(argv: readonly string[]): Promise<number> {
  const readiness = readinessPipe()
  const givenSocket = notifySocketFrom(process.env)
  const notifySocket = readiness === undefined ? givenSocket : readiness.notifySocket
  const takeover = takeoverFrom(process.env)
  const cwd = readiness?.cwd ?? process.cwd()
  const { options: given, run } = parseMountCommand(readiness?.argv ?? argv, process.env, cwd)
  if (process.platform !== 'linux') {
    throw new CommandFailure(
      'mounting needs FUSE of Linux: `mount-session ls`, `get`, `put` and `logs` work without it',
    )
  }
  /* of a mount that nobody serves nothing can be asked */
  const directory = takeover === undefined ? await prepareMountPoint(given.directory) : given.directory
  const options = { ...given, directory }
  /* by the daemon's starter, too, whose error is seen */
  const trace =
    run.traceFile === undefined ? undefined : openTrace(run.traceFile, { isNew: takeover === undefined })
  const { state } =
    options.session === undefined
      ? makeAgentDirectories(options, options)
      : makeSessionDirectories(options, options)
  const logFile = run.logFile ?? (run.foreground ? undefined : join(state, 'mount.log'))
  if (readiness === undefined && !run.foreground) {
    return becomeDaemon({
      entry: join(import.meta.dirname, `main${extname(import.meta.filename)}`),
      argv,
      cwd,
      notifySocket,
      shown: [showAddress(options), options.directory],
      logFile: logFile ?? join(state, 'mount.log'),
    })
  }
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
  if (takeover !== undefined) awaitTurn(() => readKernelState(state))
  /* in the foreground whoever started it sees it end */
  const isKept = readiness !== undefined && options.restart === 'on'
  const keepWith = isKept ? keepOf(takeover, readiness, directory) : undefined
  let keeper: Keeper | undefined
  const keep: Keep | undefined = keepWith && ((...given) => (keeper = keepWith(...given)))
  const logger = createLogger({
    level: run.logLevel,
    descriptor,
    place: logFile === undefined ? undefined : { path: logFile, redirect },
    traceDescriptor: trace,
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
