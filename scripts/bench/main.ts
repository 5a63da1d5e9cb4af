/**
 * `scripts/bench/run`: our mount beside its peers, each behind a slow link of its own. Layer: benchmark.
 *
 * Invariant: one party works at a time; the rounds go around all of them, so that what else the machine does
 * meets all alike.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Contender } from './contender.ts'
import { compareKernelLayers } from './kernel/comparison.ts'
import { measureRoundTrip, type LinkSpeed } from './link.ts'
import { measureWorkload } from './measure.ts'
import { mountSession } from './mount-session.ts'
import type { Party } from './party.ts'
import { rclone } from './rclone.ts'
import { digits, Results } from './results.ts'
import { measureScale } from './scale.ts'
import { sshfs } from './sshfs.ts'
import { allWorkloads } from './workloads.ts'

const allParties: readonly Party[] = [
  mountSession('zero'),
  mountSession('real'),
  rclone('rclone', 'rclone mount as it comes, over rclone serve webdav', []),
  rclone('rclone-tuned', 'the same with --transfers 16 --checkers 16', [
    '--transfers',
    '16',
    '--checkers',
    '16',
  ]),
  sshfs,
]
const workloadNames = ['ls', 'grep', 'cp', 'big', 'tar', 'git', 'rm', 'save']

const usage = `Usage: scripts/bench/run [options]

Measures a mount of a session against rclone and sshfs over a slow link, and prints Markdown tables.

  --only NAME      only this workload; several times for several: ${workloadNames.join(', ')}
  --party NAME     only this party; several times for several:
                   ${allParties.map(({ name }) => name).join(', ')}
  --rounds N       how often everything is done (default: 3)
  --delay MS       of the link in each direction (default: 20)
  --mbits N        of the link in each direction (default: 100)
  --scale          instead: ls, grep and cp of 1,000, 10,000 and 100,000 files (default party: mount-session)
  --files N        with --scale: so many files; several times for several
  --kernel         instead: what our kernel layer costs beside fuse-napi and libfuse in C, without any link
  --write          write the tables into scripts/bench/RESULTS.md as well
  --help           show this
`

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    party: { type: 'string', multiple: true },
    rounds: { type: 'string', default: '3' },
    delay: { type: 'string', default: '20' },
    mbits: { type: 'string', default: '100' },
    scale: { type: 'boolean', default: false },
    files: { type: 'string', multiple: true, default: ['1000', '10000', '100000'] },
    kernel: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

function refuse(problem: string): never {
  process.stderr.write(`bench: ${problem}\n\n${usage}`)
  process.exit(2)
}

function positive(name: string, text: string): number {
  const value = Number(text)
  return value > 0 ? value : refuse(`--${name}: ${text} is not a number above 0`)
}

function known(
  name: string,
  wanted: readonly string[] | undefined,
  names: readonly string[],
): Set<string> | undefined {
  for (const one of wanted ?? []) if (!names.includes(one)) refuse(`--${name}: there is no ${one}`)
  return wanted === undefined ? undefined : new Set(wanted)
}

const directory = process.env['BENCH_DIRECTORY']
if (values.help) {
  process.stdout.write(usage)
  process.exit()
}
if (directory === undefined) refuse('to be started by scripts/bench/run')
const say = (line: string): void => void process.stderr.write(`${line}\n`)

if (values.kernel) {
  const rounds = positive('rounds', values.rounds)
  publish([...machine(), ...(await compareKernelLayers({ directory, rounds, onProgress: say }))])
  process.exit()
}

const speed: LinkSpeed = {
  oneWayMs: positive('delay', values.delay),
  bitsPerSecond: positive('mbits', values.mbits) * 1e6,
}
const only = known('only', values.only, workloadNames)
const wantedParties = known(
  'party',
  values.party,
  allParties.map(({ name }) => name),
)
const present: Party[] = []
const absent: string[] = []
for (const party of allParties) {
  if (
    wantedParties === undefined
      ? values.scale && party.name !== 'mount-session'
      : !wantedParties.has(party.name)
  )
    continue
  const reason = party.missing()
  if (reason === undefined) present.push(party)
  else absent.push(`${party.name} does not take part: ${reason}`)
}
absent.forEach(say)

const roundTripMs = await measureRoundTrip(directory, speed)
const sizes = values.files.map((text) => positive('files', text))
const tables = values.scale
  ? [await measureScale({ directory, speed, parties: present, sizes, only, onProgress: say })]
  : await compare(directory, positive('rounds', values.rounds))
publish([...circumstances(), ...tables])

async function compare(root: string, rounds: number): Promise<string[]> {
  const fixtures = join(root, 'fixtures')
  mkdirSync(fixtures)
  const workloads = allWorkloads(fixtures).filter(({ name }) => only?.has(name) ?? true)
  const results = new Results(
    present.map(({ name }) => name),
    { bitsPerSecond: speed.bitsPerSecond, roundTripMs },
  )
  for (let round = 1; round <= rounds; round++) {
    for (const workload of workloads) {
      for (const party of [...present]) {
        if (party.readsOnly === true && !workload.isReading) continue
        const contender = await Contender.start(party, join(root, 'contender'), speed).catch(
          (error: unknown) => {
            exclude(party, error)
          },
        )
        if (contender === undefined) continue
        await measureWorkload(workload, contender, (step, outcome) => {
          results.add(party.name, step, outcome)
          say(
            `round ${round}: ${party.name}: ${step.name}: ${'failed' in outcome ? outcome.failed : secondsOf(outcome)}`,
          )
        })
        await contender.stop()
      }
    }
  }
  rmSync(fixtures, { recursive: true })
  const failures = results.failures()
  return [
    `Medians of ${rounds} rounds. In brackets: of our own mount, how many times as long as the link alone would need`,
    'for this many bytes and round trips at our limits of concurrency; of the others, how many times as long as ours.',
    '',
    ...[results.times(), results.requests(), results.cpu(), results.memory()].flatMap((one) => [one, '']),
    ...(failures.length === 0
      ? []
      : ['Failed:', '', ...failures.map((line) => `- ${line.replaceAll('\n', ' ')}`)]),
  ]
}

/** Prints the lines, and keeps them if asked to. */
function publish(lines: readonly string[]): void {
  const text = `${lines.join('\n')}\n`
  process.stdout.write(text)
  if (values.write) writeResults(text)
}

/** Command and machine. */
function machine(): string[] {
  const [processor] = cpus()
  return [
    `\`${['scripts/bench/run', ...process.argv.slice(2).filter((word) => word !== '--write')].join(' ')}\``,
    '',
    `- ${new Date().toISOString().slice(0, 10)}, Linux ${release()}, Node ${process.version}, ${cpus().length} × ${processor?.model ?? 'CPU'}, ${(totalmem() / 1e9).toFixed(0)} GB, shared by all parties`,
  ]
}

/** Command, machine, link and parties. */
function circumstances(): string[] {
  return [
    ...machine(),
    `- link: ${speed.oneWayMs} ms each way (${roundTripMs.toFixed(1)} ms there and back as measured), ${speed.bitsPerSecond / 1e6} Mbit/s each way`,
    ...present.map(({ name, what }) => `- ${name}: ${what}`),
    ...absent.map((line) => `- ${line}`),
    '',
  ]
}

/** A party that cannot be started says why, once. */
function exclude(party: Party, error: unknown): void {
  present.splice(present.indexOf(party), 1)
  const reason = `${party.name} cannot be started: ${error instanceof Error ? error.message.trim() : String(error)}`
  absent.push(reason)
  say(reason)
}

function secondsOf({
  returnedSeconds,
  durableSeconds,
}: {
  returnedSeconds: number
  durableSeconds: number | undefined
}): string {
  return durableSeconds === undefined
    ? `${digits(returnedSeconds)} s`
    : `${digits(returnedSeconds)} s, durable ${digits(durableSeconds)} s`
}

/** Replaces the section of this kind of run and leaves the others as they are. */
function writeResults(measured: string): void {
  const path = join(import.meta.dirname, 'RESULTS.md')
  const heading = values.kernel ? 'The kernel layer' : values.scale ? 'Scale' : 'Comparison'
  const before = existsSync(path)
    ? readFileSync(path, 'utf8')
    : '# Results\n\nFigures of one machine: the ratios count.\n'
  const [head = '', ...sections] = before.split(/^(?=## )/m)
  const others = sections.filter((section) => !section.startsWith(`## ${heading}\n`))
  const all = [...others, `## ${heading}\n\n${measured.trimEnd()}\n`].sort()
  writeFileSync(path, [head, ...all].map((part) => part.trimEnd()).join('\n\n') + '\n')
  say(`written to ${path}`)
}
