/**
 * `mount-session [options] AGENT/SESSION DIR`. Layer: cli.
 *
 * Invariant: returns 0 only when the mount answers. Whatever can be checked without the service is checked
 * here, before a daemon is spawned; the daemon runs this same function and stays.
 */
import { extname, join } from 'node:path'
import { sessionDirectories } from '../session/directories.ts'
import { writeCompiled } from './compile-cache.ts'
import { becomeDaemon, readinessPipe } from './daemon.ts'
import { failpointFrom } from './failpoint.ts'
import { openLog, openTrace } from './log-file.ts'
import { parseMountCommand } from './mount-arguments.ts'
import { prepareMountPoint } from '../mount/mount-point.ts'
import { serve } from './serve.ts'

export async function run(argv: readonly string[]): Promise<number> {
  const readiness = readinessPipe()
  const { options: given, run } = parseMountCommand(argv, process.env, process.cwd())
  const options = { ...given, directory: await prepareMountPoint(given.directory) }
  /* by the daemon's starter, too, whose error is seen */
  const trace = run.traceFile === undefined ? undefined : openTrace(run.traceFile)
  if (readiness === undefined && !run.foreground) {
    const logFile = run.logFile ?? join(sessionDirectories(options, options).state, 'mount.log')
    const entry = join(import.meta.dirname, `main${extname(import.meta.filename)}`)
    return becomeDaemon(entry, argv, logFile)
  }
  /* a daemon's stderr is its log already */
  const log = readiness === undefined && run.logFile !== undefined ? openLog(run.logFile) : process.stderr.fd
  const [{ mountSession }, { createLogger }] = await Promise.all([
    import('../mount/mount.ts'),
    import('./log-output.ts'),
  ])
  const failpoint = failpointFrom(process.env)
  const mountWithFailpoint: typeof mountSession = (wanted, dependencies) =>
    mountSession(wanted, { ...dependencies, failpoint })
  return serve(options, {
    mountSession: mountWithFailpoint,
    logger: createLogger(run.logLevel, log, trace),
    readiness: readiness && {
      ...readiness,
      ready: () => {
        readiness.ready()
        writeCompiled()
      },
    },
  })
}
