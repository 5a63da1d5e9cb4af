/**
 * What a command is about, as it is written: an agent, `AGENT/` for all its sessions, `AGENT/SESSION`, or
 * `AGENT/SESSION:PATH`. Layer: cli.
 *
 * Invariant: the first colon ends the session's name (neither agents nor sessions have one in theirs); a path is
 * taken from the session's home whether it begins with a slash or not.
 */
import { parseAddress } from './session-arguments.ts'
import { UsageError } from './usage-error.ts'

export interface Target {
  readonly agent: string
  readonly session: string
  /** From the session's home, parts joined by `/`, without one at its ends; '' for the home itself. */
  readonly path: string
  /** Written with a slash at its end: a directory is meant. */
  readonly isDirectory: boolean
}

/** Whether it is a place in a session rather than on this machine: as scp, a slash before the colon is no name. */
export function isRemote(text: string): boolean {
  return /^[^/:.][^/:]*\/[^/:]+:/.test(text)
}

/** `AGENT/SESSION[:PATH]`; throws `UsageError` of `command`. */
export function parseTarget(text: string, command?: string): Target {
  const colon = text.indexOf(':')
  const written = colon < 0 ? '' : text.slice(colon + 1)
  const parts = written.split('/').filter((part) => part !== '' && part !== '.')
  if (parts.includes('..')) throw new UsageError(`${text}: ".." leads out of the session`, command)
  return {
    ...parseAddress(colon < 0 ? text : text.slice(0, colon), command),
    path: parts.join('/'),
    isDirectory: written.endsWith('/'),
  }
}

/** The agent of `AGENT/`, which stands for all its sessions; undefined where it is written otherwise. */
export function parseAllOf(text: string): string | undefined {
  return /^([^/:]+)\/$/.exec(text)?.[1]
}

/** The name of an agent by itself; throws `UsageError` of `command`. */
export function parseAgent(text: string, command: string): string {
  if (text === '' || /[/:]/.test(text)) throw new UsageError(`"${text}" is not the name of an agent`, command)
  return text
}
