/**
 * The daemon of a volume: serves a session over a descriptor that the driver holds as well. Layer: csi.
 *
 * Invariant: mounts nothing and unmounts nothing, and so needs no privilege; whatever ends it, the driver has the
 * descriptor for the next one, and it has it for the next driver.
 */
import { readFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { trustEverywhere } from '../client/certificates.ts'
import type { Credential, TokenCredential } from '../client/credential.ts'
import { offerDescriptor, onMessages, sendMessage, takeDescriptor } from '../fuse/descriptor-passing.ts'
import type { Logger } from '../log.ts'
import type { Keeper } from '../mount/keeper.ts'
import { mountSession } from '../mount/mount.ts'
import type { MountDependencies, MountedSession } from '../mount/mounted-session.ts'
import { restOfProcess } from '../mount/rest.ts'
import { SessionError } from '../session/session-error.ts'
import type { DaemonSays, DriverSays } from './daemon-link.ts'
import { failedStart } from './failed-start.ts'
import { credentialFiles, daemonSocket, driverSocket, type VolumeDescription } from './volume-files.ts'

export interface VolumeDaemonDependencies extends Pick<MountDependencies, 'failpoint'> {
  readonly logger: Logger
  /** Told to end, for another daemon to go on. */
  readonly stopped: AbortSignal
}

/** Serves what `run` describes until it is unmounted, or told to stop; resolves with the exit code. */
export async function serveVolume(
  run: string,
  described: VolumeDescription,
  { logger, stopped, failpoint }: VolumeDaemonDependencies,
): Promise<number> {
  const taken = await takeDescriptor(join(run, driverSocket))
  if (typeof taken === 'string') {
    logger.error({ run, why: taken }, 'no driver offers a mount there')
    return 1
  }
  const { descriptor, socket } = taken
  const drivers = new Drivers(socket)
  /* from its first moment on: the driver may be killed while this one still asks the service */
  const greeted = firstMessage(socket)
  greeted.catch(() => undefined)
  await offerDescriptor(join(run, daemonSocket), descriptor, (next) => drivers.add(next)).catch(
    (error: unknown) => logger.warn({ error }, 'the next driver cannot go on with this mount'),
  )
  const { why } = await greeted
  const rest = restOfProcess()
  try {
    const mounted = await mountSession(described.options, {
      logger,
      onWork: () => rest.worked(),
      signal: stopped,
      failpoint,
      keep: () => keeper,
      credential: credentialOf(run, described),
      ...(why === undefined
        ? { descriptor }
        : { takeover: { fuse: descriptor, watch: undefined, why, isHandedOver: false } }),
    })
    logger.info({ why }, why === undefined ? 'serving' : 'going on')
    drivers.say({ event: 'ready' })
    return await served(mounted, drivers, stopped, logger)
  } catch (error) {
    logger.error({ error }, 'not served')
    const code = error instanceof SessionError ? error.code : undefined
    drivers.say({ event: 'failed', code, message: failedStart(error as Error, described) })
    drivers.end()
    return 1
  }
}

/** Whoever drives, one after the other: each is told what was said last. */
class Drivers {
  readonly #sockets: Socket[] = []
  #last: DaemonSays | undefined
  #onAdded = (): void => undefined

  constructor(first: Socket) {
    this.#sockets.push(first)
  }

  add(socket: Socket): void {
    this.#sockets.push(socket)
    this.#onAdded()
    if (this.#last !== undefined) sendMessage(socket, this.#last)
  }

  say(message: DaemonSays): void {
    this.#last = message
    for (const socket of this.#sockets) if (!socket.destroyed) sendMessage(socket, message)
  }

  /** Resolves once one of them lives. */
  async someone(): Promise<void> {
    while (this.#sockets.every((socket) => socket.destroyed))
      await new Promise<void>((resolve) => (this.#onAdded = resolve))
  }

  end(): void {
    for (const socket of this.#sockets) socket.end()
  }
}

/** Who goes on with the mount is for the driver to say. */
const keeper: Keeper = {
  pid: undefined,
  done: () => undefined,
  prepare: () =>
    Promise.reject(new Error('the daemon of a volume is replaced by the driver: delete its mount Pod')),
}

function firstMessage(socket: Socket): Promise<DriverSays> {
  return new Promise((resolve, reject) => {
    onMessages(socket, (said) => resolve(said as DriverSays))
    socket.once('close', () => reject(new Error('the driver ended before it could say anything')))
  })
}

async function served(
  mounted: MountedSession,
  drivers: Drivers,
  stopped: AbortSignal,
  logger: Logger,
): Promise<number> {
  const asked = Promise.withResolvers<undefined>()
  const onStop = (): void => asked.resolve(undefined)
  stopped.addEventListener('abort', onStop, { once: true })
  try {
    /* without a driver that holds the mount it would end with this process */
    const leaving = asked.promise.then(() => drivers.someone()).then(() => 'left')
    if ((await Promise.race([mounted.done, leaving])) === 'left') {
      logger.info({}, 'told to end: another daemon goes on')
      await mounted.leave()
      return 0
    }
    logger.info({}, 'unmounted, everything is uploaded')
    return 0
  } catch (error) {
    logger.error({ error, left: mounted.status().paths }, 'unmounted; what is left is kept on the node')
    return 1
  } finally {
    stopped.removeEventListener('abort', onStop)
  }
}

/** Read anew whenever it is needed: the driver writes what each republish brings. */
function credentialOf(run: string, { credential, options }: VolumeDescription): Credential {
  const file = join(run, credentialFiles[credential.kind])
  const read = async (): Promise<string> => (await readFile(file, 'utf8')).trim()
  if (credential.kind === 'token') return read
  const { tenantId = '', clientId = '' } = credential
  let loaded: Promise<TokenCredential> | undefined
  const load = async (): Promise<TokenCredential> => {
    if (options.caFile !== undefined) trustEverywhere(await readFile(options.caFile, 'utf8'))
    const { ClientAssertionCredential } = await import('@azure/identity')
    return new ClientAssertionCredential(tenantId, clientId, read)
  }
  return { getToken: async (scope, given) => (await (loaded ??= load())).getToken(scope, given) }
}
