/**
 * `mount-session status DIR`. Layer: cli.
 *
 * Invariant: touches nothing in DIR and so answers while reads and uploads hang.
 */
import { ControlError } from '../control/protocol.ts'
import type { Leftover, SessionReport, StatusReport } from '../control/protocol.ts'
import type { MountRecord } from '../control/registry.ts'
import { showMounted } from '../options/show-address.ts'
import { showBytes, showCount, showDuration } from './amounts.ts'
import { readCommand } from './command-line.ts'
import { interruption } from './interruption.ts'
import { confirm } from './confirm.ts'
import { describeLeftover } from './leftovers.ts'
import { CommandFailure } from './report-error.ts'
import { answerWithinMs, askMount, mountOf, notAnswering, runningMount } from './running-mount.ts'
import { pathInMount } from './sync.ts'
import { watch } from './watch.ts'

export async function run(argv: readonly string[]): Promise<number> {
  const {
    words: [directory = ''],
    flags: { json, retry, discard, yes, watch: isWatched },
  } = readCommand('status', argv)
  const found = await runningMount(directory)
  const { record } = found
  try {
    if (discard !== undefined) {
      const path = await pathInMount('status', found, discard)
      await confirm(`giving up the changes at ${discard}`, yes)
      const count = await askMount(record, { method: 'discard', path }, { answerWithinMs })
      if (count === 0) {
        throw new CommandFailure(`nothing is waiting at ${discard}`)
      }
      process.stderr.write(`gave up ${showCount(count, 'change')}\n`)
    }
    if (retry) {
      const count = await askMount(record, { method: 'retry' }, { answerWithinMs })
      process.stderr.write(`trying ${showCount(count, 'path')} again\n`)
    }
    const show = (report: StatusReport): string =>
      json ? `${JSON.stringify(report)}\n` : describeStatus(report)
    if (isWatched) await watchStatus(record, directory, show, json)
    else process.stdout.write(show(await askMount(record, { method: 'status' }, { answerWithinMs })))
    return 0
  } catch (error) {
    if (error instanceof ControlError && error.code === 'notRunning') {
      throw new CommandFailure(
        `the daemon of ${record.directory} (pid ${record.pid}) has ended: mount ${showMounted(record)} again`,
      )
    }
    if (error instanceof ControlError && error.code === 'silent') {
      throw notAnswering(record)
    }
    throw error
  }
}

/** Until Ctrl-C, or until it is unmounted. One that does not answer may do so again. */
async function watchStatus(
  record: MountRecord,
  directory: string,
  show: (report: StatusReport) => string,
  json: boolean,
): Promise<void> {
  using interrupted = interruption()
  const { signal } = interrupted
  const read = async (): Promise<string | undefined> => {
    try {
      return show(await askMount(record, { method: 'status' }, { answerWithinMs, signal }))
    } catch (error) {
      if (!(error instanceof ControlError)) throw error
      if (error.code === 'silent') return json ? '' : `${notAnswering(record).message}\n`
      if (error.code !== 'notRunning' || (await mountOf(directory)) !== undefined) throw error
      process.stderr.write(`${record.directory} was unmounted\n`)
      return undefined
    }
  }
  /* of a program's input nothing is drawn over */
  await watch(read, signal, json ? { write: (text) => process.stdout.write(text) } : process.stdout)
}

const listedPaths = 20

function describeRestarts({ restarts }: StatusReport, now: number): string[] {
  const last = restarts.at(-1)
  if (last === undefined) return []
  const ago = showDuration(Math.max(0, now - Date.parse(last.at)))
  return [
    `  started   again ${restarts.length === 1 ? 'once' : `${restarts.length} times`}, last ${ago} ago: ${last.why}`,
  ]
}

/** The report for reading. */
export function describeStatus(report: StatusReport, now = Date.now()): string {
  const { service, silent, cache, bytes } = report
  const mountedFor = showDuration(Math.max(0, now - Date.parse(report.mountedAt)))
  const bytesLeft = report.paths.reduce((sum, path) => sum + path.bytes, 0)
  const lines = [
    `${showMounted(report)} at ${report.directory}${report.readOnly ? ' (read-only)' : ''}`,
    `  endpoint  ${report.endpoint}`,
    ...(report.proxy === undefined ? [] : [`  proxy     ${report.proxy}`]),
    `  daemon    pid ${report.pid}, version ${report.version}, mounted for ${mountedFor}`,
    ...describeRestarts(report, now),
    ...(silent === undefined
      ? []
      : [`  silent    for ${showDuration(silent.sinceMs)}: names are shown as they were listed before`]),
    `  service   ${service.state === 'ready' ? 'ready' : `paused for ${showDuration(service.sinceMs)}: ${service.reason}`}`,
    `  traffic   ${showBytes(bytes.uploaded)} up, ${showBytes(bytes.downloaded)} down`,
    ...describeConsole(report),
    `  cache     ${showBytes(cache.bytes)}; listings ${hits(cache.listingHits, cache.listingMisses)}, contents ${hits(cache.contentHits, cache.contentMisses)}`,
    ...Object.keys(report.calls)
      .toSorted()
      .map((verb) => describeCalls(report, verb)),
    ...(report.sessions === undefined ? [] : describeSessions(report.sessions)),
    report.paths.length === 0
      ? 'everything is uploaded'
      : `${showCount(report.paths.length, 'path')}, ${showBytes(bytesLeft)}, not uploaded yet:`,
    ...shortened(report.paths, urgencyOfPath, describeLeftover),
    ...(report.setAside.length === 0
      ? []
      : [
          `${showCount(report.setAside.length, 'file')} set aside, \`mount-session recover --export DIR\` takes them out:`,
        ]),
    ...report.setAside.slice(0, listedPaths).map(({ path, reason }) => `  ${path}: ${reason}`),
  ]
  return `${lines.join('\n')}\n`
}

/** Of a console that nobody has asked for there is nothing to say. */
function describeConsole({ console: { state, connections, lines, lastEnd } }: StatusReport): string[] {
  if (connections === 0) return []
  const why = state === 'backingOff' && lastEnd !== undefined ? `: ${lastEnd}` : ''
  const shown = state === 'backingOff' ? 'to be connected again' : state === 'open' ? 'connected' : state
  return [`  console   ${shown}${why}; ${showCount(lines, 'line')}`]
}

/** Of a mount of all sessions of an agent. */
function describeSessions(sessions: readonly SessionReport[]): string[] {
  if (sessions.length === 0) return ['no program has gone into a session yet']
  return [
    `${showCount(sessions.length, 'session')}:`,
    ...shortened(sessions, urgencyOfSession, describeSession),
  ]
}

/** One line: `  demo-session  open, paused for 3 min: the token was refused, 2 paths not uploaded yet`. */
function describeSession({ session, state, reason, service, paths }: SessionReport): string {
  const words = [
    reason === undefined ? state : `${state}: ${reason}`,
    ...(service?.state === 'paused'
      ? [`paused for ${showDuration(service.sinceMs)}: ${service.reason}`]
      : []),
    ...(paths === 0 ? [] : [`${showCount(paths, 'path')} not uploaded yet`]),
  ]
  return `  ${session}  ${words.join(', ').replaceAll('\n', ' ')}`
}

function urgencyOfSession({ state, service, paths }: SessionReport): number {
  if (state === 'refused') return 0
  if (service?.state === 'paused') return 1
  return paths > 0 ? 2 : 3
}

function urgencyOfPath({ state, error }: Leftover): number {
  if (state === 'parked') return 0
  return error === undefined ? 2 : 1
}

/** What needs somebody comes first, and a long list ends: `--json` has all of it. */
function shortened<Item>(
  items: readonly Item[],
  urgency: (item: Item) => number,
  describe: (item: Item) => string,
): string[] {
  const lines = items.toSorted((a, b) => urgency(a) - urgency(b)).map(describe)
  if (lines.length <= listedPaths) return lines
  const more = lines.length - listedPaths
  return [...lines.slice(0, listedPaths), `  … and ${more} more (--json lists all)`]
}

function describeCalls({ calls, latencies }: StatusReport, verb: string): string {
  const width = Object.keys(calls).reduce((most, name) => Math.max(most, name.length), 9)
  const statuses = Object.entries(calls[verb] ?? {}).map(([status, count]) => `${count} × ${status}`)
  const latency = latencies[verb]
  const times =
    latency === undefined
      ? ''
      : `; ${Math.round(latency.median)} ms median, ${Math.round(latency.p95)} ms p95, ${Math.round(latency.max)} ms max`
  return `  ${verb.padEnd(width)} ${statuses.join(', ')}${times}`
}

function hits(found: number, asked: number): string {
  return `${found} of ${found + asked} from here`
}
