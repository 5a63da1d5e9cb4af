/**
 * A party at work: server, link and client, with a directory of their own. Layer: benchmark.
 *
 * Invariant: `remount` gives a client that has never run before; everything ends with `stop`.
 */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Link, type LinkCounters, type LinkSpeed } from './link.ts'
import { isMounted, unmount } from './mount-points.ts'
import type { Party, Server } from './party.ts'
import { Background, type Memory, type Usage } from './processes.ts'

export interface Readings {
  readonly client: Usage
  readonly server: Usage
  readonly link: Usage
  readonly counters: LinkCounters
}

/** Of what is not there. */
export const nothing: Usage = { cpuSeconds: 0, peakBytes: 0 }
export const noTraffic: LinkCounters = { connections: 0, bytesUp: 0, bytesDown: 0, requests: {} }

export class Contender {
  /** Of the client that runs now. */
  mountPoint = ''
  readonly #party: Party
  readonly #directory: string
  readonly #server: Server
  /* undefined: the client is beside the server */
  readonly #link: Link | undefined
  #client: Background | undefined
  #clients = 0

  private constructor(party: Party, directory: string, server: Server, link: Link | undefined) {
    this.#party = party
    this.#directory = directory
    this.#server = server
    this.#link = link
  }

  /** Starts server and link, if there is to be one; `directory` is made anew. */
  static async start(party: Party, directory: string, speed: LinkSpeed | undefined): Promise<Contender> {
    rmSync(directory, { recursive: true, force: true })
    mkdirSync(directory, { recursive: true })
    const server = await party.startServer(directory)
    try {
      const link = speed === undefined ? undefined : await Link.start(directory, server.port, speed)
      return new Contender(party, directory, server, link)
    } catch (error) {
      await server.process.stop()
      throw error
    }
  }

  /** The directory on disk that the mount shows. */
  get files(): string {
    return this.#server.files
  }

  /** What the client has printed, for the account of a failure. */
  get clientOutput(): string {
    return this.#client?.output() ?? ''
  }

  /** Ends the client, if there is one, and starts another with nothing cached. */
  async remount(): Promise<void> {
    await this.#stopClient()
    const directory = join(this.#directory, `client-${++this.#clients}`)
    const mountPoint = join(directory, 'mount')
    mkdirSync(mountPoint, { recursive: true })
    const { command, env } = this.#party.client(directory, this.#link?.port ?? this.#server.port, mountPoint)
    const client = new Background({ directory, name: 'client', command, env })
    this.#client = client
    this.mountPoint = mountPoint
    await client.until('mounted', () => isMounted(mountPoint))
  }

  async readings(): Promise<Readings> {
    return {
      client: this.#client?.usage() ?? nothing,
      server: this.#server.process.usage(),
      link: this.#link?.process.usage() ?? nothing,
      counters: (await this.#link?.counters()) ?? noTraffic,
    }
  }

  /** What the client's processes hold now. */
  memory(): Memory {
    return this.#client?.memory() ?? { residentBytes: 0, proportionalBytes: 0, peakBytes: 0 }
  }

  async stop(): Promise<void> {
    await this.#stopClient()
    await this.#link?.process.stop()
    await this.#server.process.stop()
    rmSync(this.#directory, { recursive: true, force: true })
  }

  async #stopClient(): Promise<void> {
    if (this.#client === undefined) return
    await unmount(this.mountPoint)
    await this.#client.stop()
    this.#client = undefined
  }
}
