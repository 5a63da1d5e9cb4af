/**
 * Runs a workload on a party and measures it. Layer: benchmark.
 *
 * Invariant: a step that fails, or whose result is wrong, has no time.
 */
import { execFile } from 'node:child_process'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Contender, Readings } from './contender.ts'
import { gitEnvironment } from './fixtures.ts'
import type { Step, Workload } from './workload.ts'

export interface Measurement {
  /** Until the command had returned, and until the server's disk had it all; undefined where nothing is written. */
  readonly returnedSeconds: number
  readonly durableSeconds: number | undefined
  readonly cpuSeconds: { readonly client: number; readonly server: number; readonly link: number }
  readonly clientPeakBytes: number
  /** By verb; empty where the protocol is encrypted. */
  readonly requests: Readonly<Record<string, number>>
  readonly bytes: number
}

/** What a workload is run on: a contender, or a directory that needs none. */
export type Measured = Pick<Contender, 'files' | 'mountPoint' | 'clientOutput' | 'remount' | 'readings'>

export type Outcome = Measurement | { readonly failed: string }

const run = promisify(execFile)
const stepLimitMs = 15 * 60_000
const pollMs = 20

export async function measureWorkload(
  workload: Workload,
  contender: Measured,
  onStep: (step: Step, outcome: Outcome) => void,
): Promise<void> {
  workload.prepare(contender.files)
  for (const step of workload.steps) {
    try {
      if (step.cold) await contender.remount()
      onStep(step, await measureStep(step, contender))
    } catch (error) {
      onStep(step, { failed: `${messageOf(error)} ${contender.clientOutput.slice(-1000)}`.trim() })
      return /* the steps that follow build on it */
    }
  }
}

async function measureStep(step: Step, contender: Measured): Promise<Measurement> {
  await setTimeout(step.pauseMs ?? 0)
  const before = await contender.readings()
  const since = performance.now()
  const { stdout } = await run('sh', ['-c', step.script], {
    env: { ...gitEnvironment, mount: contender.mountPoint },
    timeout: stepLimitMs,
    maxBuffer: 1024 * 1024 * 1024,
  })
  const returnedSeconds = (performance.now() - since) / 1000
  if (step.isRight?.(stdout) === false) throw new Error(`wrong result: ${stdout.slice(-300)}`)
  let durableSeconds: number | undefined
  if (step.isDurable !== undefined) {
    await untilDurable(step.isDurable, contender.files)
    durableSeconds = (performance.now() - since) / 1000
  }
  return { returnedSeconds, durableSeconds, ...difference(before, await contender.readings()) }
}

async function untilDurable(isDurable: (files: string) => boolean, files: string): Promise<void> {
  const since = performance.now()
  while (!isDurable(files)) {
    if (performance.now() - since > stepLimitMs) throw new Error('not all of it came to the server')
    await setTimeout(pollMs)
  }
}

function difference(
  before: Readings,
  after: Readings,
): Pick<Measurement, 'cpuSeconds' | 'clientPeakBytes' | 'requests' | 'bytes'> {
  const cpu = (who: 'client' | 'server' | 'link'): number => after[who].cpuSeconds - before[who].cpuSeconds
  const requests = Object.entries(after.counters.requests).map(
    ([verb, count]) => [verb, count - (before.counters.requests[verb] ?? 0)] as const,
  )
  const bytesOf = ({ counters }: Readings): number => counters.bytesUp + counters.bytesDown
  return {
    cpuSeconds: { client: cpu('client'), server: cpu('server'), link: cpu('link') },
    clientPeakBytes: after.client.peakBytes,
    requests: Object.fromEntries(requests.filter(([, count]) => count > 0)),
    bytes: bytesOf(after) - bytesOf(before),
  }
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const stderr = 'stderr' in error && typeof error.stderr === 'string' ? error.stderr.slice(-500) : ''
  return `${error.message.slice(0, 300)} ${stderr}`.trim()
}
