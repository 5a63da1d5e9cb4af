/**
 * Who takes part: a server over a directory, and a client that mounts it through the slow link.
 * Layer: benchmark; `mount-session.ts`, `rclone.ts` and `sshfs.ts` are the parties.
 *
 * Invariant: a party knows how its programs are started, and nothing of workloads.
 */
import { accessSync, constants } from 'node:fs'
import { createServer, connect, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { delimiter, join } from 'node:path'
import type { Background } from './processes.ts'

export interface Server {
  readonly process: Background
  readonly port: number
  /** The directory of this machine that the mount shows: in memory, see served-directory.ts. */
  readonly files: string
}

export interface Client {
  /** In the foreground. */
  readonly command: readonly [string, ...string[]]
  /** The same mount in the background, if it can: the command returns when the mount answers. */
  readonly background?: readonly [string, ...string[]]
  readonly env?: Readonly<Record<string, string>>
}

export interface Party {
  /** As in `--party` and in the tables. */
  readonly name: string
  /** What it is, in a few words, for the results. */
  readonly what: string
  /** Takes part only in workloads that read. */
  readonly readsOnly?: boolean
  /** Why it cannot take part on this machine. */
  missing(): string | undefined
  /** Starts the server with its data in `directory`; resolves when it listens. */
  startServer(directory: string): Promise<Server>
  /** How to mount what is behind `port` at `mountPoint`, with all its state in `directory`. */
  client(directory: string, port: number, mountPoint: string): Client
}

/** The program's path: a name is looked for in PATH and the places of system programs. */
export function findProgram(name: string): string | undefined {
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin']
  for (const path of name.includes('/') ? [name] : directories.map((each) => join(each, name))) {
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      /* not there */
    }
  }
  return undefined
}

/** Says which of the programs, each with its Debian package, are not installed. */
export function missingPrograms(programs: Readonly<Record<string, string>>): string | undefined {
  const missing = Object.entries(programs).filter(([program]) => findProgram(program) === undefined)
  if (missing.length === 0) return undefined
  const names = missing.map(([program]) => program).join(', ')
  const packages = [...new Set(missing.map(([, name]) => name))].join(' ')
  return `not installed: ${names} (Debian: apt-get install ${packages})`
}

/** A port that nobody listens on at the moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

export async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
