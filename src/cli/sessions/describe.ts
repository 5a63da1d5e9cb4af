/**
 * A session as people and as programs read it. Layer: cli.
 *
 * Invariant: times are words for people and Unix seconds for programs; what the service does not say is `-`, or null.
 */
import type { Session } from '../../client/wire.ts'
import { showAge } from '../amounts.ts'
import { printable } from '../output.ts'

/** The members of `--json`, in the order that the help names them. */
export function sessionJson(agent: string, session: Session): Readonly<Record<string, unknown>> {
  return {
    agent,
    session: session.sessionId,
    status: session.status ?? null,
    version: session.agentVersion ?? null,
    created: session.createdSeconds ?? null,
    lastUsed: session.lastAccessedSeconds ?? null,
    expires: session.expiresSeconds ?? null,
    stopped: session.stoppedSeconds ?? null,
  }
}

export const sessionHeading = ['SESSION', 'STATUS', 'VERSION', 'AGE', 'LAST USED', 'EXPIRES']

/** A row under `sessionHeading`, of single words. */
export function sessionRow(agent: string, session: Session, now: number): readonly string[] {
  const { sessionId, status, agentVersion, createdSeconds, lastAccessedSeconds, expiresSeconds } = session
  return [
    printable(`${agent}/${sessionId}`),
    printable(status ?? '-'),
    printable(agentVersion ?? '-'),
    since(createdSeconds, now),
    since(lastAccessedSeconds, now),
    until(expiresSeconds, now),
  ]
}

/** Lines without a heading; `more` are told as they are. */
export function sessionLines(
  session: Session,
  now: number,
  more: readonly (readonly [string, string])[],
): string {
  const { status, agentVersion, createdSeconds, lastAccessedSeconds, expiresSeconds, stoppedSeconds } =
    session
  const ago = (seconds: number | undefined): string | undefined =>
    seconds === undefined ? undefined : `${stamp(seconds)} (${since(seconds, now)} ago)`
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['status', status],
    ['version', agentVersion],
    ['created', ago(createdSeconds)],
    ['last used', ago(lastAccessedSeconds)],
    ['stopped', ago(stoppedSeconds)],
    [
      'expires',
      expiresSeconds === undefined ? undefined : `${stamp(expiresSeconds)} (${inWords(expiresSeconds, now)})`,
    ],
    ...more,
  ]
  const said = rows.filter(([, value]) => value !== undefined)
  return said.map(([name, value]) => `  ${name.padEnd(9)}  ${printable(value ?? '')}\n`).join('')
}

/** In a sentence: `active, made 5d ago, last used 3m ago`. */
export function sessionSummary(session: Session, now: number): string {
  const { status, createdSeconds, lastAccessedSeconds } = session
  return [
    ...(status === undefined ? [] : [printable(status)]),
    ...(createdSeconds === undefined ? [] : [`made ${since(createdSeconds, now)} ago`]),
    ...(lastAccessedSeconds === undefined ? [] : [`last used ${since(lastAccessedSeconds, now)} ago`]),
  ].join(', ')
}

function since(seconds: number | undefined, now: number): string {
  return seconds === undefined ? '-' : showAge(now - seconds * 1000)
}

function until(seconds: number | undefined, now: number): string {
  if (seconds === undefined) return '-'
  return seconds * 1000 <= now ? 'over' : showAge(seconds * 1000 - now)
}

function inWords(seconds: number, now: number): string {
  const left = until(seconds, now)
  return left === 'over' ? left : `in ${left}`
}

/** Milliseconds taken for seconds are no reason to fail. */
const lastSecond = Date.UTC(9999, 11, 31) / 1000

/** `2026-11-29 06:00:00Z` */
function stamp(seconds: number): string {
  return new Date(Math.min(seconds, lastSecond) * 1000).toISOString().replace('T', ' ').replace(/\.\d+/, '')
}
