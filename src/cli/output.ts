/**
 * What commands print: tables for people, JSON for programs. Layer: cli.
 *
 * Invariant: colours and bold only on a terminal that wants them; the same columns without one.
 */
import { styleText } from 'node:util'
import stringWidth from 'string-width'

type Style = Parameters<typeof styleText>[0]

/** Text in a style, where `stream` is a terminal that shows it (NO_COLOR and FORCE_COLOR are heard). */
export function styled(style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  return styleText(style, text, { stream })
}

/** Columns under a heading, each as wide as its longest cell; the last is not filled up. */
export function table(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heading.map((_, column) =>
    [heading, ...rows].reduce((most, row) => Math.max(most, stringWidth(row[column] ?? '')), 0),
  )
  const line = (row: readonly string[], isHeading: boolean): string => {
    const cells = row.map((cell, column) => {
      const isLast = column === row.length - 1
      return isLast ? cell : cell + ' '.repeat(Math.max(0, (widths[column] ?? 0) - stringWidth(cell)))
    })
    const text = cells.join('  ').trimEnd()
    return `${isHeading ? styled('bold', text) : text}\n`
  }
  return [line(heading, true), ...rows.map((row) => line(row, false))].join('')
}

/** Names side by side, down and then across, as ls on a terminal; without one each on its line. */
export function columns(names: readonly string[], stream: NodeJS.WriteStream = process.stdout): string {
  const widest = names.reduce((most, name) => Math.max(most, stringWidth(name)), 0) + 2
  /* a terminal that does not know its width says 0 */
  const width = stream.isTTY ? stream.columns || 80 : 0
  const across = Math.max(1, Math.min(names.length, Math.floor((width + 2) / widest)))
  const down = Math.ceil(names.length / across)
  return Array.from({ length: down }, (_, line) => {
    const cells = names.filter((_name, index) => index % down === line)
    const filled = cells.map((name, index) =>
      index === cells.length - 1 ? name : name + ' '.repeat(widest - stringWidth(name)),
    )
    return `${filled.join('')}\n`
  }).join('')
}

export function writeJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}

/** Names come from the service: what a terminal would obey is shown as `?`, as ls does. */
export function printable(name: string, stream: NodeJS.WriteStream = process.stdout): string {
  return stream.isTTY ? name.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '?') : name
}
