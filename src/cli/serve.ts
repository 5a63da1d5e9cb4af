/**
 * Keeps a mount going until it is unmounted or told to stop. Layer: cli.
 *
 *   starting ──ready──▶ serving ──unmounted──▶ done (0; 1 when something could not be uploaded)
 *       │                  │ SIGINT, SIGTERM, SIGHUP
 *       │ signal           ▼
 *       ▼              draining ──uploaded──▶ unmounting ──▶ done (0)
 *   given up (1)           │ busy, or left over: says so and goes on serving
 *                          ▼ a second signal
 *                      stops at once, naming what is pending (1)
 *
 * Invariant: whatever ends it, what the service has not confirmed stays on this machine.
 */
import type { Leftover } from '../control/protocol.ts'
import type { Logger } from '../log.ts'
import { drainAndUnmount } from '../mount/mounted-session.ts'
import type { MountDependencies, MountedSession } from '../mount/mounted-session.ts'
import type { AgentMountOptions, MountOptions } from '../options/mount-options.ts'
import { showMounted } from '../options/show-address.ts'
import type { Readiness } from './daemon.ts'
import { showProgress } from './progress.ts'
import { describeFailure } from './report-error.ts'

const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Mounts what is to be served; rejects with `SessionError`. */
export type Mount = (dependencies: MountDependencies) => Promise<MountedSession>

export interface ServeDependencies {
  readonly mount: Mount
  readonly logger: Logger
  /** Told once how the start went; undefined in the foreground, where the error itself is thrown. */
  readonly readiness: Readiness | undefined
  /** Done before anybody is told that the mount answers. */
  readonly onServing?: (() => Promise<void>) | undefined
}

/** Resolves with the exit code. In the foreground a failure to mount rejects; a daemon reports it. */
export async function serve(
  options: MountOptions | AgentMountOptions,
  dependencies: ServeDependencies,
): Promise<number> {
  const { logger, readiness } = dependencies
  const starting = new AbortController()
  let onSignal = (name: string): void => starting.abort(new Error(`stopped by ${name}`))
  const listener = (name: string): void => onSignal(name)
  for (const name of stopSignals) {
    process.on(name, listener)
  }
  try {
    const mounted = await dependencies.mount({ logger, signal: starting.signal })
    const stopping = stopOnSignals(mounted, logger, readiness === undefined)
    onSignal = stopping.onSignal
    if (starting.signal.aborted) {
      onSignal('a signal')
    }
    /* relative names are done with; whatever the daemon was started from may be unmounted */
    process.chdir('/')
    await dependencies.onServing?.()
    readiness?.ready()
    logger.info({ directory: options.directory }, `mounted ${showMounted(options)}`)
    const exitCode = await Promise.race([ended(mounted, logger), stopping.atOnce])
    /* a mount that was detached may count as done */
    return stopping.isAtOnce() ? await stopping.atOnce : exitCode
  } catch (error) {
    if (readiness === undefined) {
      throw error
    }
    logger.error({ error }, 'not mounted')
    readiness.failed(error)
    return 1
  } finally {
    for (const name of stopSignals) {
      process.off(name, listener)
    }
  }
}

async function ended(mounted: MountedSession, logger: Logger): Promise<number> {
  try {
    await mounted.done
    logger.info({}, 'unmounted, everything is uploaded')
    return 0
  } catch (error) {
    logger.error(
      { error, left: pathsOf(mounted.status().paths) },
      'unmounted; what is left is kept for the next mount',
    )
    return 1
  } finally {
    await mounted.close()
  }
}

function stopOnSignals(
  mounted: MountedSession,
  logger: Logger,
  foreground: boolean,
): {
  readonly onSignal: (name: string) => void
  readonly atOnce: Promise<number>
  readonly isAtOnce: () => boolean
} {
  const atOnce = Promise.withResolvers<number>()
  const draining = new AbortController()
  let signals = 0
  const onSignal = (name: string): void => {
    signals += 1
    if (signals === 1) {
      logger.info(
        { signal: name },
        'uploading what is waiting, then unmounting; a second signal stops at once',
      )
      const display = foreground ? showProgress(process.stderr, 'uploading') : undefined
      const unmounted = drainAndUnmount(mounted, false, draining.signal, (progress) =>
        display?.show(progress),
      )
      unmounted
        .finally(() => display?.end())
        .then(
          (left) => {
            if (left.length > 0) {
              logger.error({ left: pathsOf(left) }, 'still mounted: not everything could be uploaded')
            }
          },
          (error: unknown) => {
            if (!draining.signal.aborted) {
              logger.error({ reason: describeFailure(error) }, 'still mounted')
            }
          },
        )
    } else if (signals === 2) {
      draining.abort(new Error('stopped at once'))
      const left = mounted.status().paths
      logger.warn(
        { signal: name, left: pathsOf(left) },
        'stopped at once; what is left is kept for the next mount',
      )
      mounted
        .unmount({ lazy: true })
        /* it ends all the same; the next mount detaches what is left there */
        .catch((error: unknown) => logger.error({ reason: describeFailure(error) }, 'could not be unmounted'))
        .then(() => mounted.close())
        .then(
          () => atOnce.resolve(left.length === 0 ? 0 : 1),
          (error: unknown) => atOnce.reject(error as Error),
        )
    } else {
      process.exit(1)
    }
  }
  return { onSignal, atOnce: atOnce.promise, isAtOnce: () => signals > 1 }
}

function pathsOf(left: readonly Leftover[]): readonly string[] {
  return left.map(({ path }) => path)
}
