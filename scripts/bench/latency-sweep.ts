/**
 * `--latency-sweep`: where the ratios break, from a near link to a far one and a bad one. Layer: benchmark.
 *
 * Invariant: one table; each cell has ours beside the limit of that very link, and the peers beside ours.
 */
import { join } from 'node:path'
import { mkdirSync } from 'node:fs'
import { compare } from './comparison.ts'
import { lineOf, type LinkSpeed } from './link.ts'
import { physicalSeconds } from './limits.ts'
import { oursName } from './parties.ts'
import { digits, table } from './results.ts'
import type { Roster } from './roster.ts'

export interface LatencySweepOptions {
  readonly directory: string
  readonly bitsPerSecond: number
  readonly tls: boolean
  readonly roster: Roster
  readonly rounds: number
  readonly only: ReadonlySet<string> | undefined
  readonly onProgress: (line: string) => void
}

interface SweptLink {
  readonly name: string
  readonly speed: Omit<LinkSpeed, 'bitsPerSecond'>
}

const links: readonly SweptLink[] = [
  ...[5, 40, 150, 300].map((ms) => ({ name: `${ms} ms`, speed: { oneWayMs: ms / 2 } })),
  { name: '40 ms, 1 % lost, 20 ms jitter', speed: { oneWayMs: 20, jitterMs: 20, lossRate: 0.01 } },
]

/** Lines of Markdown. */
export async function sweepLatencies(options: LatencySweepOptions): Promise<string[]> {
  const { directory, bitsPerSecond, tls, roster, onProgress } = options
  const rows = new Map<string, string[]>()
  const failures: string[] = []
  for (const { name, speed: shape } of links) {
    onProgress(name)
    const speed = { ...shape, bitsPerSecond }
    const own = join(directory, name.replaceAll(/\W+/g, '-'))
    mkdirSync(own)
    const line = await lineOf(own, speed)
    const results = await compare({ ...options, directory: own, speed, line })
    failures.push(...results.failures().map((each) => `- ${name}: ${each.replaceAll('\n', ' ')}`))
    const ours = results.seconds(oursName)
    const peers = roster.present.filter((party) => party.name !== oursName)
    for (const { name: step, need } of results.steps()) {
      const seconds = ours.get(step) ?? NaN
      const limit = need === undefined ? '' : ` (${digits(seconds / physicalSeconds(need, line))} × limit)`
      const beside = peers.map((peer) => {
        const other = results.seconds(peer.name).get(step) ?? NaN
        return Number.isNaN(other) ? ', failed' : `, ${digits(other / seconds)} ×`
      })
      const cell = Number.isNaN(seconds) ? 'failed' : `${digits(seconds)}${limit}${beside.join('')}`
      rows.set(step, [...(rows.get(step) ?? [step]), cell])
    }
  }
  return [
    ...roster.lines(),
    `- links: ${bitsPerSecond / 1e6} Mbit/s each way, ${tls ? 'TLS' : 'plain HTTP'}; the times are there and back`,
    '',
    `Medians of ${options.rounds} rounds, in seconds until all is durable, how many times the physical limit of that link, and how`,
    `many times as long ${roster.present
      .map(({ name }) => name)
      .filter((name) => name !== oursName)
      .join(' and ')} took.`,
    '',
    table(['seconds', ...links.map(({ name }) => name)], [...rows.values()]),
    ...(failures.length === 0 ? [] : ['', 'Failed:', '', ...failures]),
  ]
}
