/**
 * What a trial is, and what it found. Layer: benchmark.
 *
 * Invariant: the three parts of a trial are done one after the other by one client, the burst on connections
 * that are not there yet.
 */
export const trialBytes = 4096
export const parts = [
  { name: 'burst of 52 GET, cold', method: 'GET', requests: 52 },
  { name: '1,000 GET', method: 'GET', requests: 1000 },
  { name: '500 PUT', method: 'PUT', requests: 500 },
] as const

export interface Trial {
  readonly client: 'undici, HTTP/1.1' | 'undici, HTTP/2' | 'node:http2'
  readonly connections: number
  /** Requests at once. */
  readonly atOnce: number
}

/** Of each part. */
export interface TrialFigure {
  readonly ms: number
  /** Of the process that asks. */
  readonly cpuMs: number
}

export const trials: readonly Trial[] = [
  ...[28, 64].map((count) => ({ client: 'undici, HTTP/1.1' as const, connections: count, atOnce: count })),
  { client: 'undici, HTTP/2', connections: 1, atOnce: 28 },
  ...[1, 4, 8].map((connections) => ({ client: 'undici, HTTP/2' as const, connections, atOnce: 64 })),
  ...[1, 4].map((connections) => ({ client: 'node:http2' as const, connections, atOnce: 64 })),
]
