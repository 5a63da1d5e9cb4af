/**
 * `scripts/bench/run`: our mount beside its peers, each behind a slow link of its own. Layer: benchmark.
 *
 *   command.ts: what is wanted ─▶ one of the modes below ─▶ report.ts: printed, and kept with --write
 *
 *   comparison.ts    workloads.ts (limits.ts, fixtures.ts) on parties.ts, each a contender.ts; measure.ts, results.ts
 *   link.ts          a process of its own (delay-link.ts, slow-direction.ts, lateness.ts)
 *   processes.ts     what is started, what it uses, and its end
 *
 * Invariant: one party works at a time, whatever is measured.
 */
import { CommandError, parseCommand, usage, type BenchCommand, type Mode } from './command.ts'
import { compare } from './comparison.ts'
import { compareKernelLayers } from './kernel/comparison.ts'
import { sweepLatencies } from './latency-sweep.ts'
import { lineOf, measureRoundTrip, type LinkSpeed } from './link.ts'
import { measureLocalCost } from './local-cost.ts'
import { measureOutliving } from './outliving.ts'
import { measureSessions } from './sessions.ts'
import { measureMemory } from './memory.ts'
import { newestRcloneName, oursName } from './parties.ts'
import { linkLine, machine, writeResults } from './report.ts'
import { Roster } from './roster.ts'
import { measureScale } from './scale.ts'
import { measureStart } from './start-time.ts'
import { switchOff } from './switch-off.ts'
import { measureTrees } from './trees.ts'
import { tryTransports } from './transports/comparison.ts'

const onProgress = (line: string): void => void process.stderr.write(`${line}\n`)

interface Kind {
  /** Of its section in RESULTS.md. */
  readonly heading: string
  /** Who takes part unless it is said; undefined: all. */
  readonly parties: readonly string[] | undefined
  /** Lines of Markdown. */
  readonly run: (command: BenchCommand, directory: string, roster: Roster) => Promise<string[]>
}

const oursAndRclone = [oursName, 'rclone', newestRcloneName]

const kinds: Readonly<Record<Mode, Kind>> = {
  comparison: { heading: 'Comparison', parties: undefined, run: runComparison },
  scale: { heading: 'Scale', parties: [oursName], run: runScale },
  'latency-sweep': {
    heading: 'Latency',
    parties: [oursName, newestRcloneName],
    run: (command, directory, roster) => sweepLatencies({ ...command, directory, roster, onProgress }),
  },
  'switch-off': {
    heading: 'Fetching ahead, part by part',
    parties: [],
    run: (command, directory) => switchOff({ ...command, speed: speedOf(command), directory, onProgress }),
  },
  transports: {
    heading: 'Transports',
    parties: [],
    run: (command, directory) =>
      tryTransports({ ...command, speed: speedOf(command), directory, onProgress }),
  },
  trees: {
    heading: 'Trees without a mount',
    parties: [],
    run: async (command, directory) => {
      const speed = speedOf(command)
      const line = await lineOf(directory, speed)
      const measured = await measureTrees({ ...command, speed, line, directory, onProgress })
      return [linkLine(speed, line.roundTripMs, command.tls), ...measured]
    },
  },
  local: {
    heading: 'Local cost',
    parties: oursAndRclone,
    run: (command, directory, roster) => measureLocalCost({ ...command, directory, roster, onProgress }),
  },
  start: {
    heading: 'Start',
    parties: oursAndRclone,
    run: (command, directory, roster) => measureStart({ ...command, directory, roster, onProgress }),
  },
  memory: {
    heading: 'Memory',
    parties: oursAndRclone,
    run: (command, directory, roster) => measureMemory({ directory, roster, onProgress }),
  },
  outliving: {
    heading: 'Outliving',
    parties: [],
    run: ({ rounds }, directory) => measureOutliving({ directory, rounds, onProgress }),
  },
  sessions: {
    heading: 'All sessions of an agent',
    parties: [],
    run: (_command, directory) => measureSessions({ directory, onProgress }),
  },
  kernel: {
    heading: 'The kernel layer',
    parties: [],
    run: ({ rounds }, directory) => compareKernelLayers({ directory, rounds, onProgress }),
  },
}

function speedOf({ oneWayMs, bitsPerSecond }: BenchCommand): LinkSpeed {
  return { oneWayMs, bitsPerSecond }
}

async function runComparison(command: BenchCommand, directory: string, roster: Roster): Promise<string[]> {
  const { rounds, only, tls } = command
  const speed = speedOf(command)
  const line = await lineOf(directory, speed)
  const results = await compare({ directory, speed, line, roster, rounds, only, onProgress })
  const tables = [results.times(), ...(tls ? [] : [results.requests()]), results.cpu(), results.memory()]
  const failures = results.failures().map((each) => `- ${each.replaceAll('\n', ' ')}`)
  return [
    linkLine(speed, line.roundTripMs, tls),
    ...roster.lines(),
    '',
    `Medians of ${rounds} rounds. The physical limit: the bytes of the contents over the bandwidth, and the round trips of`,
    'which each needs the answer to the one before. In brackets: of our own mount, how many times the physical limit; of',
    'the others, how many times as long as ours.',
    '',
    ...tables.flatMap((one) => [one, '']),
    ...(failures.length === 0 ? [] : ['Failed:', '', ...failures]),
  ]
}

async function runScale(command: BenchCommand, directory: string, roster: Roster): Promise<string[]> {
  const { tls, sizes, only } = command
  const speed = speedOf(command)
  const roundTripMs = await measureRoundTrip(directory, speed)
  const table = await measureScale({ directory, speed, parties: roster.present, sizes, only, onProgress })
  return [linkLine(speed, roundTripMs, tls), ...roster.lines(), '', table]
}

async function main(): Promise<void> {
  const command = parseCommand(process.argv.slice(2))
  if (command === undefined) {
    process.stdout.write(usage)
    return
  }
  const directory = process.env['BENCH_DIRECTORY']
  if (directory === undefined) throw new CommandError('to be started by scripts/bench/run')
  const { heading, parties, run } = kinds[command.mode]
  const isWanted = (name: string): boolean => command.wanted?.has(name) ?? parties?.includes(name) ?? true
  const roster = new Roster(
    command.parties.filter(({ name }) => isWanted(name)),
    onProgress,
  )
  const text = `${[...machine(), ...(await run(command, directory, roster))].join('\n')}\n`
  process.stdout.write(text)
  if (command.write) onProgress(`written to ${writeResults(heading, text)}`)
}

try {
  await main()
} catch (error) {
  if (!(error instanceof CommandError)) throw error
  process.stderr.write(`bench: ${error.message}\n\n${usage}`)
  process.exitCode = 2
}
process.exit()
