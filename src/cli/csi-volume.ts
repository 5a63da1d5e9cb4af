/**
 * `mount-session csi-volume DIR`, as the driver starts it: the daemon of one volume. Layer: cli.
 *
 * Invariant: ends when it is told to without unmounting anything: another one goes on.
 */
import { readDescription } from '../csi/volume-files.ts'
import { oneOf } from '../options/values.ts'
import { failpointFrom } from './failpoint.ts'
import { UsageError } from './usage-error.ts'

const levels = oneOf('trace', 'debug', 'info', 'warn', 'error', 'silent')

export async function run([directory, task]: readonly string[]): Promise<number> {
  if (directory === undefined) throw new UsageError('csi-volume is started by mount-session csi')
  const { askForLeft, tellWhatIsLeft } = await import('../csi/left-behind.ts')
  if (task === askForLeft) {
    await tellWhatIsLeft(directory)
    return 0
  }
  const described = readDescription(directory)
  const [{ createLogger }, { serveVolume }] = await Promise.all([
    import('./log-output.ts'),
    import('../csi/volume-daemon.ts'),
  ])
  const stopping = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(name, () => stopping.abort(new Error(`stopped by ${name}`)))
  const code = await serveVolume(directory, described, {
    logger: createLogger({ level: levels(described.logLevel), descriptor: process.stderr.fd }),
    stopped: stopping.signal,
    failpoint: failpointFrom(process.env),
  })
  /* what it holds is the next one's, too */
  process.exit(code)
}
