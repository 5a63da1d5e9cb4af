/**
 * The slow link as a process of its own, so that its work is counted apart. Layer: benchmark.
 *
 *   link-process.ts PORT ONE_WAY_MS BITS_PER_SECOND
 *
 * Tells its port to the parent, and its counters whenever the parent says anything. Ends with the parent.
 */
import { startDelayLink } from './delay-link.ts'
import { RequestCounts } from './request-counts.ts'

const [port = 0, oneWayMs = 20, bitsPerSecond = 100e6] = process.argv.slice(2).map(Number)
const requests = new RequestCounts()
const link = await startDelayLink({
  target: { host: '127.0.0.1', port },
  oneWayMs,
  bitsPerSecond,
  onSent: (bytes) => requests.take(bytes),
})
process.once('disconnect', () => process.exit())
process.on('message', () => process.send?.({ ...link.counters(), requests: requests.counts() }))
process.send?.({ port: link.port })
