/**
 * rclone's mount over rclone's WebDAV server. Layer: benchmark.
 *
 * Invariant: no configuration of the user's takes part.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, isListening, missingPrograms, type Party } from './party.ts'
import { Background } from './processes.ts'

export function rclone(name: string, what: string, options: readonly string[]): Party {
  return {
    name,
    what,
    missing: () => missingPrograms({ rclone: 'rclone', fusermount3: 'fuse3' }),
    async startServer(directory) {
      const files = join(directory, 'files')
      mkdirSync(files)
      const port = await freePort()
      const process = new Background({
        directory,
        name: 'webdav',
        command: ['rclone', 'serve', 'webdav', files, '--addr', `127.0.0.1:${port}`, '--config', '/dev/null'],
      })
      await process.until('listening', () => isListening(port))
      return { process, port, files }
    },
    client: (directory, port, mountPoint) => ({
      command: [
        ...(['rclone', 'mount', ':webdav:', mountPoint] as const),
        ...['--webdav-url', `http://127.0.0.1:${port}`, '--webdav-vendor', 'other'],
        ...['--vfs-cache-mode', 'full', '--cache-dir', join(directory, 'cache'), '--config', '/dev/null'],
        ...options,
      ],
    }),
  }
}
