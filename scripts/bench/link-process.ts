/**
 * The slow link as a process of its own, so that its work is counted apart. Layer: benchmark.
 *
 *   link-process.ts PORT SPEED
 *
 * SPEED is a `LinkSpeed` as JSON.
 * Tells its port to the parent, and its counters whenever the parent says anything. Ends with the parent.
 */
import { startDelayLink } from './delay-link.ts'
import type { LinkSpeed } from './link.ts'
import { RequestCounts } from './request-counts.ts'

const [, , port = '0', speed = '{}'] = process.argv
const requests = new RequestCounts()
const link = await startDelayLink({
  ...(JSON.parse(speed) as Partial<LinkSpeed>),
  target: { host: '127.0.0.1', port: Number(port) },
  onSent: (bytes) => requests.take(bytes),
})
process.once('disconnect', () => process.exit())
process.on('message', () => process.send?.({ ...link.counters(), requests: requests.counts() }))
process.send?.({ port: link.port })
