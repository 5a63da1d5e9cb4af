/**
 * What a check has found, and how long it may take to. Layer: cli.
 *
 * Invariant: a check never throws and never takes longer than its bound; what is not `ok` says what to do.
 */
import type { Clock } from '../../clock.ts'

/** `skipped`: could not be looked at, for a reason that another check tells. */
export type Level = 'ok' | 'warning' | 'failure' | 'skipped'

/** Every check, in the order in which they are told. */
export const checkNames = [
  'device',
  'fusermount3',
  'user_allow_other',
  'kernel',
  'node',
  'endpoint',
  'dns',
  'proxy',
  'certificates',
  'reach',
  'clock',
  'login',
  'role',
  'session',
  'isolation',
  'state',
  'cache',
  'mounts',
  'journals',
] as const

export type CheckName = (typeof checkNames)[number]

export interface Verdict {
  readonly level: Level
  /** What was found, without the check's name. */
  readonly message: string
  /** What to do; with each warning and each failure. */
  readonly remedy?: string | undefined
  /** What was measured, for `--json`: times in seconds of Unix, sizes in bytes, other units in the name. */
  readonly values?: Readonly<Record<string, number | string>> | undefined
}

export interface Finding extends Verdict {
  readonly check: CheckName
}

export const ok = (message: string, values?: Verdict['values']): Verdict => ({ level: 'ok', message, values })
export const skipped = (message: string): Verdict => ({ level: 'skipped', message })
export const warning = (message: string, remedy: string, values?: Verdict['values']): Verdict => ({
  ...{ level: 'warning', message, remedy, values },
})
export const failure = (message: string, remedy: string, values?: Verdict['values']): Verdict => ({
  ...{ level: 'failure', message, remedy, values },
})

/** No check takes longer. */
export const limitMs = 5000

/** Looks within the bound. `look` is told by the signal that nobody waits any longer. */
export async function lookWithin(
  look: (signal: AbortSignal) => Promise<Verdict>,
  { clock, late }: { readonly clock: Clock; readonly late: string },
): Promise<Verdict> {
  const over = new AbortController()
  const expired = Promise.withResolvers<Verdict>()
  const cancel = clock.after(limitMs, () => {
    over.abort()
    expired.resolve(failure(`not known after ${limitMs / 1000} s`, late))
  })
  try {
    return await Promise.race([look(over.signal), expired.promise])
  } catch (error) {
    return failure(
      `could not be looked at: ${textOf(error)}`,
      isOfTheMachine(error)
        ? 'the message says what is in the way: an option, a variable or a file that is named there'
        : 'that is a mistake of this program: please report it',
    )
  } finally {
    cancel()
  }
}

/** Of the system, the service or the session: all say what and where. */
function isOfTheMachine(error: unknown): boolean {
  return (
    error instanceof Error && ('syscall' in error || ['ServiceError', 'SessionError'].includes(error.name))
  )
}

/** One line of it. */
export function textOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.split('\n', 1)[0] ?? ''
}

export function codeOf(error: unknown): string {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : textOf(error)
}
