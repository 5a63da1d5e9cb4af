/**
 * `mount-session [options] AGENT/SESSION DIR`, or `AGENT/ DIR`. Layer: cli.
 *
 * Invariant: returns 0 only when the mount answers. Whatever can be checked without the service is checked
 * here, before a daemon is spawned; the daemon runs this same function and stays. What serves is loaded only by the
 * process that does.
 */
import { extname, join } from 'node:path'
import { showAddress } from '../options/show-address.ts'
import { makeAgentDirectories, makeSessionDirectories } from '../session/directories.ts'
import { becomeDaemon, readinessPipe } from './daemon.ts'
import { CommandFailure } from './report-error.ts'
import { openTrace } from './log-file.ts'
import { parseMountCommand } from './mount-arguments.ts'
import { prepareMountPoint } from '../mount/mount-point.ts'
import { notifySocketFrom } from './service-manager.ts'

export async function run(argv: readonly string[]): Promise<number> {
  const readiness = readinessPipe()
  const givenSocket = notifySocketFrom(process.env)
  const notifySocket = readiness === undefined ? givenSocket : readiness.notifySocket
  const cwd = readiness?.cwd ?? process.cwd()
  const { options: given, run } = parseMountCommand(readiness?.argv ?? argv, process.env, cwd)
  if (process.platform !== 'linux') {
    throw new CommandFailure(
      'mounting needs FUSE of Linux: `mount-session ls`, `get`, `put` and `logs` work without it',
    )
  }
  const isServer = readiness !== undefined || run.foreground
  const takeover = isServer ? (await import('./keeper.ts')).takeoverFrom(process.env) : undefined
  /* of a mount that nobody serves nothing can be asked */
  const directory = takeover === undefined ? await prepareMountPoint(given.directory) : given.directory
  const options = { ...given, directory }
  /* by the daemon's starter, too, whose error is seen */
  const traceDescriptor =
    run.traceFile === undefined ? undefined : openTrace(run.traceFile, { isNew: takeover === undefined })
  const { state } =
    options.session === undefined
      ? makeAgentDirectories(options, options)
      : makeSessionDirectories(options, options)
  const ownLog = join(state, 'mount.log')
  if (!isServer) {
    return becomeDaemon({
      entry: join(import.meta.dirname, `main${extname(import.meta.filename)}`),
      argv,
      cwd,
      notifySocket,
      shown: [showAddress(options), options.directory],
      logFile: run.logFile ?? ownLog,
    })
  }
  const logFile = run.logFile ?? (run.foreground ? undefined : ownLog)
  const { serveMount } = await import('./serve-mount.ts')
  return serveMount(options, {
    stateDirectory: state,
    logFile,
    logLevel: run.logLevel,
    traceDescriptor,
    readiness,
    notifySocket,
    takeover,
  })
}
