/**
 * Our own mount over the emulator, whose listings say 0 or the real time as modification time.
 * Layer: benchmark.
 *
 * Invariant: runs the program as a user does, through `scripts/mount-session`, with its defaults.
 */
import { join } from 'node:path'
import { smallYoungGeneration } from '../../src/cli/daemon.ts'
import { missingPrograms, type Party } from './party.ts'
import { Background } from './processes.ts'

const program = join(import.meta.dirname, '..', 'mount-session')
const token = 'benchmark'
const agent = 'bench'
const session = 'bench-session'

export function mountSession(modifiedTime: 'zero' | 'real'): Party {
  const isZero = modifiedTime === 'zero'
  return {
    name: isZero ? 'mount-session' : 'mount-session-times',
    what: `our mount with its defaults; the service lists ${isZero ? 'all modification times as 0' : 'real modification times'}`,
    readsOnly: !isZero,
    missing: () => missingPrograms({ fusermount3: 'fuse3' }),
    async startServer(directory) {
      const data = join(directory, 'data')
      const process = new Background({
        directory,
        name: 'emulator',
        command: [
          program,
          'emulator',
          ...['--data', data, '--token', token, '--seed', `${agent}/${session}`, '--empty', '--json'],
          ...['--modified-time', modifiedTime],
        ],
      })
      const endpoint = await process.until(
        'listening',
        () => /"endpoint":"([^"]+)"/.exec(process.output())?.[1],
      )
      const files = join(data, 'agents', agent, 'sessions', session, 'home')
      return { process, port: Number(new URL(endpoint).port), files }
    },
    client: (directory, port, mountPoint) => ({
      command: [program, '-f', `${agent}/${session}`, mountPoint],
      env: {
        FOUNDRY_PROJECT_ENDPOINT: `http://127.0.0.1:${port}/api/projects/demo`,
        MOUNT_SESSION_TOKEN: token,
        XDG_STATE_HOME: join(directory, 'state'),
        XDG_CACHE_HOME: join(directory, 'cache'),
        /* as the daemon is started: it stays in the foreground here, so that its end is seen */
        NODE_OPTIONS: `${process.env['NODE_OPTIONS'] ?? ''} ${smallYoungGeneration}`,
      },
    }),
  }
}
