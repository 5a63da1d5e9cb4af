/**
 * Bytes and times as people read them. Layer: cli.
 *
 * Invariant: only for what is shown; whatever a program reads (`--json`, logs) has plain numbers.
 */

const sizeUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

/** `12 B`, `3.4 KiB`, `50 MiB`. */
export function showBytes(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), sizeUnits.length - 1)
  const value = bytes / 1024 ** power
  return `${power === 0 || value >= 10 ? Math.round(value) : value.toFixed(1)} ${sizeUnits[power] ?? ''}`
}

/** `0.4 s`, `12 s`, `3 min`, `2 h`, `4 d`: the largest unit that fits. */
export function showDuration(ms: number): string {
  const seconds = ms / 1000
  if (seconds < 10) {
    return `${seconds.toFixed(1)} s`
  }
  if (seconds < 120) {
    return `${Math.round(seconds)} s`
  }
  if (seconds < 7200) {
    return `${Math.round(seconds / 60)} min`
  }
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`
}

/** `45s`, `3m`, `2h`, `4d`, as kubectl has it: one word, for the column of a table. */
export function showAge(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  if (seconds < 120) return `${seconds}s`
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`
}

export function showCount(count: number, singular: string, plural = `${singular}s`): string {
  return `${count} ${count === 1 ? singular : plural}`
}

/** `2026-11-22 14:03`, in the time zone of this machine. */
export function showTime(wallMs: number): string {
  const date = new Date(wallMs)
  const two = (value: number): string => String(value).padStart(2, '0')
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-')
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`
}
