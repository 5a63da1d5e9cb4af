/**
 * `--switch-off`: what each part of the fetching ahead brings: the workloads without each of them in turn.
 * Layer: benchmark.
 *
 * Invariant: the parts are those that `src/prefetch` itself names.
 */
import { prefetchParts } from '../../src/prefetch/parts.ts'
import { withoutPrefetchVariable } from '../../src/cli/without-prefetch.ts'
import { compare } from './comparison.ts'
import { lineOf, type LinkSpeed } from './link.ts'
import { mountSession } from './mount-session.ts'
import { oursName } from './parties.ts'
import { linkLine } from './report.ts'
import { digits, table } from './results.ts'
import { Roster } from './roster.ts'

export interface SwitchOffOptions {
  readonly directory: string
  readonly speed: LinkSpeed
  readonly tls: boolean
  readonly rounds: number
  readonly only: ReadonlySet<string> | undefined
  readonly onProgress: (line: string) => void
}

/** Lines of Markdown. */
export async function switchOff(options: SwitchOffOptions): Promise<string[]> {
  const { directory, speed, tls, rounds, onProgress } = options
  const variants = prefetchParts.map((part) =>
    mountSession({
      modifiedTime: 'zero',
      tls,
      variant: { name: `without ${part}`, what: `without ${part} of the fetching ahead` },
      env: { [withoutPrefetchVariable]: part },
    }),
  )
  const roster = new Roster([mountSession({ modifiedTime: 'zero', tls }), ...variants], onProgress)
  const line = await lineOf(directory, speed)
  const results = await compare({ ...options, line, roster })
  const whole = results.seconds(oursName)
  const rows = results.steps().map(({ name }) => {
    const seconds = whole.get(name) ?? NaN
    const ratios = variants.map((variant) => (results.seconds(variant.name).get(name) ?? NaN) / seconds)
    return [
      name,
      digits(seconds),
      ...ratios.map((ratio) => (Number.isNaN(ratio) ? 'failed' : ratio.toFixed(2))),
    ]
  })
  const failures = results.failures().map((each) => `- ${each.replaceAll('\n', ' ')}`)
  return [
    linkLine(speed, line.roundTripMs, tls),
    '',
    `Medians of ${rounds} rounds, in seconds until all is durable; then how many times as long it takes without a part.`,
    'What is about 1 everywhere brings nothing.',
    '',
    table(['seconds', 'with all', ...prefetchParts.map((part) => `without ${part}`)], rows),
    ...(failures.length === 0 ? [] : ['', 'Failed:', '', ...failures]),
  ]
}
