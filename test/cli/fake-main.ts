/**
 * A program like `main.ts` whose composition root is made of air: how a mount is started, kept and stopped,
 * without a kernel or a service. Arguments: a mode, the log file, `-f` to stay.
 */
import { fileURLToPath } from 'node:url'
import { becomeDaemon, readinessPipe } from '../../src/cli/daemon.ts'
import { createLogger } from '../../src/cli/log-output.ts'
import { parseMountCommand } from '../../src/cli/mount-arguments.ts'
import { reportError } from '../../src/cli/report-error.ts'
import { type Mount, serve } from '../../src/cli/serve.ts'
import { SessionError } from '../../src/session/session-error.ts'
import type { MountedSession } from '../../src/mount/mounted-session.ts'
import { leftover, statusReport } from '../control/rig.ts'

const [mode = '', logFile = '', stay] = process.argv.slice(2)
const say = (text: string): void => void process.stderr.write(`${text}\n`)

const mount: Mount = ({ signal }) => {
  switch (mode) {
    case 'refuse':
      return Promise.reject(new SessionError('unknownSession', 'there is no session "s"'))
    case 'crash':
      process.exit(7)
    case 'slow':
      say('starting')
      return new Promise((_resolve, reject) => {
        const alive = setInterval(() => undefined, 1000)
        signal?.addEventListener('abort', () => {
          clearInterval(alive)
          reject(signal.reason as Error)
        })
      })
    default:
      return Promise.resolve(mounted())
  }
}

function mounted(): MountedSession {
  const done = Promise.withResolvers<undefined>()
  const alive = setInterval(() => undefined, 1000)
  say(`serving as ${process.pid}`)
  return {
    directory: '/mnt/s',
    done: done.promise,
    drain: ({ signal } = {}) => {
      say('draining')
      if (mode === 'left') {
        return Promise.resolve([leftover])
      }
      return mode === 'hang'
        ? new Promise((_resolve, reject) =>
            signal?.addEventListener('abort', () => reject(signal.reason as Error)),
          )
        : Promise.resolve([])
    },
    unmount: (options) => {
      if (mode === 'busy' && options?.lazy !== true) {
        return Promise.reject(new SessionError('busy', '/mnt/s is busy'))
      }
      say(options?.lazy === true ? 'detached' : 'unmounted')
      done.resolve(undefined)
      return Promise.resolve()
    },
    status: () => statusReport({ paths: mode === 'hang' || mode === 'left' ? [leftover] : [] }),
    sync: () => Promise.resolve(),
    leave: () => Promise.resolve(),
    close: () => {
      clearInterval(alive)
      say('closed')
      return Promise.resolve()
    },
  }
}

try {
  const readiness = readinessPipe()
  if (stay === undefined && readiness === undefined) {
    process.exitCode = await becomeDaemon({
      entry: fileURLToPath(import.meta.url),
      argv: [],
      cwd: '/',
      shown: [mode, logFile],
      logFile,
    })
  } else {
    const { options } = parseMountCommand(['a/s', '/mnt/s', '--endpoint', 'https://x.example'], {}, '/')
    process.exitCode = await serve(options, {
      mount,
      logger: createLogger({ level: 'info', descriptor: 2 }),
      readiness,
    })
  }
} catch (error) {
  process.exitCode = reportError(error)
}
