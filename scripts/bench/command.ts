/**
 * The command line of the benchmark. Layer: benchmark.
 *
 * Invariant: whatever cannot be meant is refused before anything is started.
 */
import { parseArgs } from 'node:util'
import { allParties } from './parties.ts'
import type { Party } from './party.ts'
import { newestRclone } from './rclone.ts'
import { workloadNames } from './workloads.ts'

/** What is measured instead of the comparison, each by an option of its name. */
export const modes = [
  'scale',
  'latency-sweep',
  'switch-off',
  'transports',
  'trees',
  'local',
  'start',
  'memory',
  'outliving',
  'sessions',
  'kernel',
] as const
export type Mode = (typeof modes)[number] | 'comparison'

export interface BenchCommand {
  readonly mode: Mode
  readonly rounds: number
  readonly oneWayMs: number
  readonly bitsPerSecond: number
  readonly tls: boolean
  /** Names of workloads; undefined: all that do not take long. */
  readonly only: ReadonlySet<string> | undefined
  /** Of the option `--party`; undefined: the mode's own choice. */
  readonly wanted: ReadonlySet<string> | undefined
  readonly parties: readonly Party[]
  /** With `--scale`. */
  readonly sizes: readonly number[]
  readonly write: boolean
}

/** A command line that cannot be meant. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}

const partyNames = allParties({ tls: true, rclone: undefined }).map(({ name }) => name)

export const usage = `Usage: scripts/bench/run [options]

Measures a mount of a session against rclone and sshfs over a slow link, and prints Markdown tables. The service
and rclone's server are spoken to over TLS; beside the times stands what the link alone would need (limits.ts).

  --only NAME      only this workload; several times for several: ${workloadNames.join(', ')}
                   (site takes minutes, and only takes part when asked for)
  --party NAME     only this party; several times for several:
                   ${partyNames.join(', ')}
  --rclone PATH    the newest rclone, else rclone-1.76 of the PATH or what Go has installed:
                   ${newestRclone}
  --rounds N       how often everything is done (default: 3; 7 with --start)
  --delay MS       of the link in each direction (default: 20)
  --mbits N        of the link in each direction (default: 100)
  --plain          HTTP without TLS, with a table of the requests
  --write          write the tables into their section of scripts/bench/RESULTS.md as well
  --help           show this

Something else instead:
  --scale          ls, grep and cp of 1,000, 10,000 and 100,000 files (default party: mount-session)
  --files N        with --scale: so many files; several times for several
  --latency-sweep  the workloads over 5, 40, 150 and 300 ms there and back, and over a link that loses 1 % of its
                   packets and jitters by 20 ms: ours and rclone
  --switch-off     the workloads with each part of the fetching ahead switched off in turn
  --transports     HTTP/1.1 and HTTP/2 by themselves: 1,000 GET, 500 PUT and a burst of 52 GET
  --trees          1,000 files each way by put -r and get -r, beside cp -r through a mount
  --local          without a link: tar x and rm -r of 2,000 files, CPU time for each; dbench where it is
  --start          how long it takes until a mount answers
  --memory         memory after the start, after unpacking 2,000 files, and at the end of more
  --outliving      what it costs that another daemon can go on: --restart on beside off (as root: the kernel forgets)
  --sessions       all sessions of an agent: memory and descriptors as more of them are gone into
  --kernel         what our kernel layer costs beside fuse-napi, fuse-native and libfuse in C, without any link

Examples:
  scripts/bench/run --write                        the tables of RESULTS.md
  scripts/bench/run --only site --rounds 1         the small site that GeeseFS publishes its times for
  scripts/bench/run --latency-sweep --only grep --only tar
`

/** undefined: the help is wanted. Throws `CommandError`. */
export function parseCommand(argv: readonly string[]): BenchCommand | undefined {
  const values = readValues(argv)
  if (values.help) return undefined
  const given = modes.filter((mode) => values[mode])
  if (given.length > 1) throw new CommandError(`--${given.join(' and --')}: one at a time`)
  const [mode = 'comparison'] = given
  return {
    mode,
    rounds: positive('rounds', values.rounds ?? (mode === 'start' ? '7' : '3')),
    oneWayMs: positive('delay', values.delay),
    bitsPerSecond: positive('mbits', values.mbits) * 1e6,
    tls: !values.plain,
    only: known('only', values.only, workloadNames),
    wanted: known('party', values.party, partyNames),
    parties: allParties({ tls: !values.plain, rclone: values.rclone }),
    sizes: values.files.map((text) => positive('files', text)),
    write: values.write,
  }
}

function readValues(argv: readonly string[]) {
  const flag = { type: 'boolean', default: false } as const
  try {
    return parseArgs({
      args: [...argv],
      options: {
        only: { type: 'string', multiple: true },
        party: { type: 'string', multiple: true },
        rclone: { type: 'string' },
        rounds: { type: 'string' },
        delay: { type: 'string', default: '20' },
        mbits: { type: 'string', default: '100' },
        files: { type: 'string', multiple: true, default: ['1000', '10000', '100000'] },
        plain: flag,
        write: flag,
        help: flag,
        scale: flag,
        'latency-sweep': flag,
        'switch-off': flag,
        transports: flag,
        trees: flag,
        local: flag,
        start: flag,
        memory: flag,
        outliving: flag,
        sessions: flag,
        kernel: flag,
      },
    }).values
  } catch (error) {
    throw new CommandError(error instanceof Error ? error.message : String(error))
  }
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (value > 0) return value
  throw new CommandError(`--${name}: ${text} is not a number above 0`)
}

function known(
  name: string,
  wanted: readonly string[] | undefined,
  names: readonly string[],
): Set<string> | undefined {
  for (const one of wanted ?? [])
    if (!names.includes(one)) throw new CommandError(`--${name}: there is no ${one}`)
  return wanted === undefined ? undefined : new Set(wanted)
}
