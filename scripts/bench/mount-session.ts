/**
 * Our own mount over the emulator, whose listings say 0 or the real time as modification time.
 * Layer: benchmark.
 *
 * Invariant: runs the program as a user does, through `scripts/mount-session`, with its defaults.
 */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { smallYoungGeneration } from '../../src/cli/daemon.ts'
import { emptyServedDirectory, servedDirectory } from './served-directory.ts'
import { missingPrograms, type Party } from './party.ts'
import { Background } from './processes.ts'
import { warmUp } from './warm-up.ts'

const program = join(import.meta.dirname, '..', 'mount-session')
const token = 'benchmark'
const agent = 'bench'
const session = 'bench-session'

export interface MountSessionOptions {
  readonly modifiedTime: 'zero' | 'real'
  /** Whether it speaks TLS to the service, whose certificate it is told to trust. */
  readonly tls: boolean
  /** Added to the name and the account of it. */
  readonly variant?: { readonly name: string; readonly what: string }
  readonly env?: Readonly<Record<string, string>>
}

export function mountSession({ modifiedTime, tls, variant, env }: MountSessionOptions): Party {
  const isZero = modifiedTime === 'zero'
  const what = `our mount with its defaults; the service lists ${isZero ? 'all modification times as 0' : 'real modification times'}`
  return {
    name: `${isZero ? 'mount-session' : 'mount-session-times'}${variant === undefined ? '' : `, ${variant.name}`}`,
    what: variant === undefined ? what : `${what}, ${variant.what}`,
    readsOnly: !isZero,
    missing: () => missingPrograms({ fusermount3: 'fuse3' }),
    async startServer(directory) {
      const data = emptyServedDirectory(directory)
      const process = new Background({
        directory,
        name: 'emulator',
        command: [
          program,
          'emulator',
          ...['--data', data, '--token', token, '--seed', `${agent}/${session}`, '--empty', '--json'],
          ...['--modified-time', modifiedTime, ...(tls ? ['--tls'] : [])],
        ],
      })
      const endpoint = await process.until(
        'listening',
        () => /"endpoint":"([^"]+)"/.exec(process.output())?.[1],
      )
      const ca = tls ? readFileSync(certificateOf(directory), 'utf8') : undefined
      await warmUp({ endpoint, token, ca, agent, session })
      const files = join(data, 'agents', agent, 'sessions', session, 'home')
      return { process, port: Number(new URL(endpoint).port), files }
    },
    client: (directory, port, mountPoint) => ({
      command: [program, '-f', `${agent}/${session}`, mountPoint],
      background: [program, `${agent}/${session}`, mountPoint],
      env: {
        FOUNDRY_PROJECT_ENDPOINT: `${tls ? 'https' : 'http'}://127.0.0.1:${port}/api/projects/demo`,
        MOUNT_SESSION_TOKEN: token,
        XDG_STATE_HOME: join(directory, 'state'),
        XDG_CACHE_HOME: join(directory, 'cache'),
        /* kept for all mounts of a run, as a user's is: what is measured is not a program's first start */
        NODE_COMPILE_CACHE: join(directory, '..', '..', 'compiled'),
        /* as the daemon is started: it stays in the foreground here, so that its end is seen */
        ...(tls ? { NODE_EXTRA_CA_CERTS: certificateOf(dirname(directory)) } : {}),
        ...env,
        /* as daemon.ts has it */
        MALLOC_ARENA_MAX: '2',
        NODE_OPTIONS: `${process.env['NODE_OPTIONS'] ?? ''} ${smallYoungGeneration}`,
      },
    }),
  }
}

/** Of the emulator whose files are below `directory`. */
function certificateOf(directory: string): string {
  return join(servedDirectory(directory), 'tls', 'certificate.pem')
}
