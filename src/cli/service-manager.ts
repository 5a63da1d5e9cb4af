/**
 * Tells a service manager, such as systemd, who serves a mount, by the protocol of sd_notify(3). Layer: cli.
 *
 * What is said: READY, which counts once, the pid to look at, and a line for people. Each daemon of a mount says so, after
 * a crash and after a restart, too. The pid is that of the keeper, which ends with the mount, and not with 0 when it has
 * given up: of a daemon that was killed systemd would remember that its service has failed, although the next one goes
 * on, and would end it at the next reload. STOPPING is not said: a daemon that is asked to stop goes on while the mount
 * is in use, and may upload for longer than a manager would wait.
 *
 * Invariant: only a daemon whose mount answers speaks; a manager that does not hear keeps no mount from being served;
 * and the programs that we start know of no manager, in whose eyes they would speak for us.
 */
import { constants } from 'node:os'
import { sleep, systemClock } from '../clock.ts'
import type { Logger } from '../log.ts'

const variable = 'NOTIFY_SOCKET'
/* systemd reads what it is told before all else; one that has no time for it has other worries */
const tries = 50
const tryAgainMs = 100

/** Sends a datagram; 0, or an errno. */
export type SendDatagram = (socket: string, text: string) => number

/** The manager that this process was started by, which nobody after it is to find; undefined: none. */
export function notifySocketFrom(env: NodeJS.ProcessEnv): string | undefined {
  const socket = env[variable]
  Reflect.deleteProperty(env, variable)
  /* a path, or the name of an abstract one; the others are for virtual machines */
  return socket !== undefined && /^[/@]./.test(socket) ? socket : undefined
}

/** Resolves when the manager has been told, or cannot be. `pid`: of what ends with the mount. */
export async function tellServing(
  socket: string,
  { what, pid }: { readonly what: string; readonly pid: number },
  { send, logger }: { readonly send: SendDatagram; readonly logger: Logger },
): Promise<void> {
  /* a line ends a statement */
  const status = what.replaceAll('\n', ' ')
  const text = `READY=1\nMAINPID=${pid}\nSTATUS=${status}\n`
  let errno = send(socket, text)
  for (let left = tries; errno === constants.errno.EAGAIN && left > 0; left--) {
    await sleep(systemClock, tryAgainMs)
    errno = send(socket, text)
  }
  if (errno !== 0)
    logger.warn({ socket, errno }, 'the service manager could not be told who serves the mount')
}
