/**
 * sshfs over an sshd on this machine's loopback, with keys made for the occasion. Layer: benchmark.
 *
 * Invariant: neither the user's keys and settings nor the system's sshd take part.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { emptyServedDirectory, servedDirectory } from './served-directory.ts'
import { findProgram, freePort, isListening, missingPrograms, type Party } from './party.ts'
import { Background } from './processes.ts'

export const sshfs: Party = {
  name: 'sshfs',
  what: 'sshfs with its defaults over an sshd of its own',
  missing: () =>
    missingPrograms({ sshfs: 'sshfs', ssh: 'openssh-client', sshd: 'openssh-server', fusermount3: 'fuse3' }),
  async startServer(directory) {
    const files = emptyServedDirectory(directory)
    for (const key of ['host-key', 'user-key']) {
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(directory, key)])
    }
    copyFileSync(join(directory, 'user-key.pub'), join(directory, 'authorized-keys'))
    /* where sshd, as root, puts its unprivileged half */
    if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true })
    const port = await freePort()
    const settings = {
      Port: port,
      ListenAddress: '127.0.0.1',
      HostKey: join(directory, 'host-key'),
      AuthorizedKeysFile: join(directory, 'authorized-keys'),
      PidFile: 'none',
      StrictModes: 'no',
      UsePAM: 'no',
      PermitRootLogin: 'yes',
      Subsystem: 'sftp internal-sftp',
    }
    const config = join(directory, 'sshd-config')
    writeFileSync(
      config,
      Object.entries(settings)
        .map(([name, value]) => `${name} ${value}\n`)
        .join(''),
    )
    const sshd = findProgram('sshd') ?? 'sshd'
    const background = new Background({ directory, name: 'sshd', command: [sshd, '-D', '-e', '-f', config] })
    await background.until('listening', () => isListening(port))
    return { process: background, port, files }
  },
  client: (directory, port, mountPoint) => {
    const server = join(directory, '..')
    const options = [
      `IdentityFile=${join(server, 'user-key')}`,
      'IdentitiesOnly=yes',
      'StrictHostKeyChecking=no',
      'UserKnownHostsFile=/dev/null',
      'ssh_command=ssh -F none',
    ]
    const remote = `${userInfo().username}@127.0.0.1:${servedDirectory(server)}`
    return { command: ['sshfs', '-f', '-p', String(port), '-o', options.join(','), remote, mountPoint] }
  },
}
