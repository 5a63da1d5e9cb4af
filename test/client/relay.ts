/**
 * A relay between a client and a server, as a router, a tunnel or a proxy is one. Layer: tests.
 *
 * Invariant: it knows nothing of HTTP; it takes what it is told to take, and sends what it is told to send.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { Test } from 'tap'

export class Relay {
  readonly #server: Server
  readonly #target: number
  /** The client's ends of all connections since the start. */
  readonly connections: Socket[] = []
  readonly #dead = new Set<Socket>()

  constructor(endpoint: string) {
    this.#target = Number(new URL(endpoint).port)
    this.#server = createServer({ noDelay: true }, (near) => this.#relay(near))
  }

  static async start(t: Test, endpoint: string): Promise<Relay> {
    const relay = new Relay(endpoint)
    relay.#server.listen(0, '127.0.0.1')
    await once(relay.#server, 'listening')
    t.teardown(() => {
      for (const socket of relay.connections) socket.destroy()
      relay.#server.close()
    })
    return relay
  }

  /** The way to the same service through the relay. */
  through(endpoint: string): string {
    const url = new URL(endpoint)
    url.port = String((this.#server.address() as AddressInfo).port)
    return url.href
  }

  /** From now on nothing passes over the connections that there are, and nobody is told. */
  forget(): void {
    for (const socket of this.connections) this.#dead.add(socket)
  }

  /** What was forgotten is remembered again, and what was kept meanwhile passes. */
  remember(): void {
    this.#dead.clear()
    for (const socket of this.connections) socket.emit('remembered')
  }

  /** Connections that the client has not closed. */
  get open(): number {
    return this.connections.filter((socket) => !socket.destroyed).length
  }

  #relay(near: Socket): void {
    this.connections.push(near)
    const far = connect(this.#target, '127.0.0.1')
    const kept: (() => void)[] = []
    const pass = (act: () => void): void => {
      if (this.#dead.has(near)) kept.push(act)
      else act()
    }
    near.on('remembered', () => {
      for (const act of kept.splice(0)) act()
    })
    near.on('error', () => undefined)
    far.on('error', () => undefined)
    near.on('data', (piece) => pass(() => far.write(piece)))
    far.on('data', (piece) => pass(() => near.write(piece)))
    near.on('close', () => far.destroy())
    far.on('close', () => pass(() => near.destroy()))
  }
}
