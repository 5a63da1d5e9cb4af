/**
 * `--transports`: HTTP/1.1 and HTTP/2 by themselves, over TLS and the link, without our client.
 * Layer: benchmark.
 *
 * Invariant: one trial at a time, each in a process and over a link of its own; the rounds go around all.
 */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Link, measureRoundTrip, type LinkSpeed } from '../link.ts'
import { Background } from '../processes.ts'
import { linkLine } from '../report.ts'
import { median, table } from '../results.ts'
import { parts, trials, type Trial, type TrialFigure } from './trial.ts'

export interface TransportOptions {
  readonly directory: string
  readonly speed: LinkSpeed
  readonly rounds: number
  readonly onProgress: (line: string) => void
}

const trialLimitMs = 120_000

/** Lines of Markdown. */
export async function tryTransports(options: TransportOptions): Promise<string[]> {
  const { directory, speed, rounds, onProgress } = options
  const roundTripMs = await measureRoundTrip(directory, speed)
  const server = new Background({
    directory,
    name: 'transport-server',
    command: [process.execPath, join(import.meta.dirname, 'server.ts'), directory],
  })
  const found = new Map<Trial, TrialFigure[][]>()
  try {
    const announced = await server.until(
      'listening',
      () => server.output().split('\n')[1] === '' && server.output(),
    )
    const { port, certificate } = JSON.parse(announced) as { port: number; certificate: string }
    for (let round = 1; round <= rounds; round++) {
      for (const trial of trials) {
        onProgress(`round ${round} of ${rounds}: ${nameOf(trial)}`)
        const figures = await tryOnce(trial, { directory, speed, port, certificate })
        found.set(trial, [...(found.get(trial) ?? []), figures])
      }
    }
  } finally {
    await server.stop()
  }
  const rows = [...found].map(([trial, all]) => {
    const cells = parts.map((_, part) => {
      const of = (pick: (figure: TrialFigure) => number): string =>
        median(all.flatMap((figures) => figures[part] ?? []).map(pick)).toFixed(0)
      return `${of(({ ms }) => ms)} (${of(({ cpuMs }) => cpuMs)})`
    })
    return [nameOf(trial), ...cells]
  })
  return [
    linkLine(speed, roundTripMs, true),
    '',
    `Medians of ${rounds} rounds, in milliseconds, with the CPU time of the client; 4 KiB each. The burst opens the connections,`,
    'the rest goes on with them.',
    '',
    table(['', ...parts.map(({ name }) => name)], rows),
  ]
}

async function tryOnce(
  trial: Trial,
  {
    directory,
    speed,
    port,
    certificate,
  }: {
    readonly directory: string
    readonly speed: LinkSpeed
    readonly port: number
    readonly certificate: string
  },
): Promise<TrialFigure[]> {
  const own = join(directory, 'trial')
  mkdirSync(own)
  const link = await Link.start(own, port, speed)
  const client = new Background({
    directory: own,
    name: 'client',
    command: [
      process.execPath,
      join(import.meta.dirname, 'client.ts'),
      ...[JSON.stringify(trial), String(link.port), certificate],
    ],
  })
  try {
    const printed = await client.until(
      nameOf(trial),
      () => client.output().endsWith('\n') && client.output(),
      trialLimitMs,
    )
    return JSON.parse(printed) as TrialFigure[]
  } finally {
    await client.stop()
    await link.process.stop()
    rmSync(own, { recursive: true })
  }
}

function nameOf({ client, connections, atOnce }: Trial): string {
  return `${client}, ${connections} ${connections === 1 ? 'connection' : 'connections'}, ${atOnce} at once`
}
