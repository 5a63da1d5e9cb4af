/**
 * How option values are written: durations, sizes, counts. Layer: below everything.
 *
 * Invariant: each function returns the value or throws an `OptionValueError` whose message completes the
 * sentence "--name: …".
 */

export class OptionValueError extends Error {
  override readonly name = 'OptionValueError'
}

const durationUnits: Readonly<Record<string, number>> = {
  ms: 1,
  '': 1000,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/* timers count in 32 bits: a longer one would fire at once */
const longestMs = 24 * 86_400_000

/** `2`, `2s`, `500ms`, `5m`, `1h`: seconds without a unit, 24 days at most. Returns milliseconds. */
export function duration(text: string): number {
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?)([a-z]*)$/.exec(text.trim().toLowerCase()) ?? []
  const factor = durationUnits[unit]
  if (number === '' || factor === undefined) {
    throw new OptionValueError(`"${text}" is not a duration, such as 2s, 500ms, 5m or 1h`)
  }
  const ms = Math.round(Number(number) * factor)
  if (ms > longestMs) {
    throw new OptionValueError(`"${text}" is too long: 24d at most`)
  }
  return ms
}

const sizeUnits = ['', 'k', 'm', 'g', 't']

/** `52428800`, `64M`, `1GiB`: bytes, units of 1024. */
export function size(text: string): number {
  const [, number = '', unit = ''] =
    /^(\d+(?:\.\d+)?)([kmgt]?)(?:i?b)?$/.exec(text.trim().toLowerCase()) ?? []
  if (number === '') {
    throw new OptionValueError(`"${text}" is not a size, such as 52428800, 64M or 1G`)
  }
  const bytes = Math.round(Number(number) * 1024 ** sizeUnits.indexOf(unit))
  if (!Number.isSafeInteger(bytes)) {
    throw new OptionValueError(`"${text}" is too large`)
  }
  return bytes
}

/** A whole number from `least` to `most`. */
export function count(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN
    if (!Number.isSafeInteger(value) || value < least || value > most) {
      const range = most === Number.MAX_SAFE_INTEGER ? `from ${least} on` : `from ${least} to ${most}`
      throw new OptionValueError(`"${text}" is not a whole number ${range}`)
    }
    return value
  }
}

/** Permission bits in octal, as umask(1) takes them. */
export function permissionMask(text: string): number {
  if (!/^[0-7]{1,4}$/.test(text) || Number.parseInt(text, 8) > 0o777) {
    throw new OptionValueError(`"${text}" is not a mask in octal, such as 022`)
  }
  return Number.parseInt(text, 8)
}

/** Any text but the empty one, without control characters (most of these travel in headers). */
export function text(value: string): string {
  if (value === '') {
    throw new OptionValueError('is empty')
  }
  if (/[\u0000-\u001f\u007f]/.test(value)) {
    throw new OptionValueError('has control characters in it')
  }
  return value
}

/** A directory of a session: its parts joined by `/`, without one at the ends. */
export function directoryPath(value: string): string {
  const parts = value.split('/').filter((part) => part !== '' && part !== '.')
  if (parts.length === 0 || parts.includes('..') || value.includes('\0'))
    throw new OptionValueError(`"${value}" is not the path of a directory in a session`)
  return parts.join('/')
}

/** Comma-separated, empty parts left out; the empty text is the empty list. */
/** The beginning of file names. */
export function namePrefix(value: string): string {
  if (/[/\0]/.test(value) || value === '' || Buffer.byteLength(value) > 200)
    throw new OptionValueError(`"${value}" cannot begin a file name`)
  return value
}

export function list(value: string): readonly string[] {
  return value.split(',').filter((part) => part !== '')
}

/** One of a few words. */
export function oneOf<const Word extends string>(...words: readonly Word[]): (text: string) => Word {
  return (value) => {
    const found = words.find((word) => word === value)
    if (found === undefined) {
      throw new OptionValueError(`"${value}" is none of ${words.join(', ')}`)
    }
    return found
  }
}

/** `UID:GID`, as decimal numbers. */
export function userAndGroup(text: string): { readonly uid: number; readonly gid: number } {
  const match = /^([0-9]{1,10}):([0-9]{1,10})$/.exec(text)
  if (match === null) throw new OptionValueError(`"${text}" is not of the form UID:GID`)
  return { uid: Number(match[1]), gid: Number(match[2]) }
}
