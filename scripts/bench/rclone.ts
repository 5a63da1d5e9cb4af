/**
 * rclone's mount over rclone's WebDAV server: Debian's, and the newest one where it is. Layer: benchmark.
 *
 * Invariant: no configuration of the user's takes part; client and server are the same program.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { loadCertificate } from '../../src/emulator/certificate.ts'
import { emptyServedDirectory } from './served-directory.ts'
import { findProgram, freePort, isListening, missingPrograms, type Party } from './party.ts'
import { Background } from './processes.ts'

/** How to get the newest one. */
export const newestRclone = 'go install github.com/rclone/rclone@v1.76.0'

export interface RcloneOptions {
  readonly name: string
  readonly what: string
  /** Path or name of the program; undefined: it is not there. */
  readonly program: string | undefined
  readonly tls: boolean
  readonly flags?: readonly string[]
}

export function rclone({ name, what, program, tls, flags = [] }: RcloneOptions): Party {
  const scheme = tls ? 'https' : 'http'
  const noConfig = ['--config', '/dev/null']
  return {
    name,
    what: program === undefined ? what : `${versionOf(program)}: ${what}`,
    missing: () =>
      program === undefined
        ? `no newer rclone (${newestRclone}; or --rclone PATH)`
        : missingPrograms({ [program]: 'rclone', fusermount3: 'fuse3' }),
    async startServer(directory) {
      const files = emptyServedDirectory(directory)
      const certificate = tls ? await loadCertificate(directory) : undefined
      const port = await freePort()
      const process = new Background({
        directory,
        name: 'webdav',
        command: [
          program ?? name,
          ...['serve', 'webdav', files, '--addr', `127.0.0.1:${port}`, ...noConfig],
          ...(certificate === undefined ? [] : ['--cert', certificate.path, '--key', certificate.keyPath]),
        ],
      })
      await process.until('listening', () => isListening(port))
      return { process, port, files }
    },
    client(directory, port, mountPoint) {
      const command = [
        program ?? name,
        ...['mount', ':webdav:', mountPoint],
        ...['--webdav-url', `${scheme}://127.0.0.1:${port}`, '--webdav-vendor', 'other'],
        ...['--vfs-cache-mode', 'full', '--cache-dir', join(directory, 'cache'), ...noConfig],
        ...(tls ? ['--ca-cert', join(directory, '..', 'tls', 'certificate.pem')] : []),
        ...flags,
      ] as const
      return { command, background: [...command, '--daemon'] }
    },
  }
}

/** Where a newer rclone than Debian's may be: as it is named here, or where Go puts it. */
export function findNewestRclone(given: string | undefined): string | undefined {
  if (given !== undefined) return given
  const named = findProgram('rclone-1.76')
  if (named !== undefined) return named
  const { GOBIN, GOPATH } = process.env
  const place = join(GOBIN ?? join(GOPATH ?? join(homedir(), 'go'), 'bin'), 'rclone')
  return existsSync(place) ? place : undefined
}

function versionOf(program: string): string {
  try {
    return execFileSync(program, ['version'], { encoding: 'utf8' }).split('\n')[0] ?? program
  } catch {
    return program
  }
}
