/**
 * Counts HTTP requests by looking at what clients send, the same way for every party. Layer: benchmark.
 *
 * Invariant: relies on a request beginning with a read of its own, as it does when the next request of a
 * connection waits for the answer to the one before.
 */

const requestLine = /^([A-Z]{3,10}) (\S{1,4096}) HTTP\/1\.1\r\n/

export class RequestCounts {
  readonly #counts = new Map<string, number>()

  /** One piece of what a client sent. */
  take(bytes: Uint8Array): void {
    const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 4200)).toString('latin1')
    const match = requestLine.exec(head)
    if (match === null) return
    const verb = verbOf(match[1] ?? '', match[2] ?? '')
    this.#counts.set(verb, (this.#counts.get(verb) ?? 0) + 1)
  }

  counts(): Record<string, number> {
    return Object.fromEntries(this.#counts)
  }
}

/** The service has one method for three things; WebDAV's methods say what they are. */
function verbOf(method: string, target: string): string {
  if (method !== 'GET' || !target.includes('/endpoint/sessions/')) return method
  const [path = ''] = target.split('?')
  if (path.endsWith('/files')) return 'LIST'
  return path.endsWith('/files/content') ? 'GET' : 'SESSION'
}
