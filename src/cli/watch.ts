/**
 * A text that is shown again each second: in its own place on a terminal, one after the other elsewhere. Layer: cli.
 *
 * Invariant: changes nothing of the terminal that would have to be taken back: it writes lines, and over its own.
 */
import { stripVTControlCharacters } from 'node:util'
import stringWidth from 'string-width'
import { sleep, systemClock, type Clock } from '../clock.ts'

const everyMs = 1000

/** The part of a terminal or another stream that is needed. */
export interface WatchOutput {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
  write(text: string): unknown
}

/** Shows what `read` answers until it answers undefined or `signal` is aborted. */
export async function watch(
  read: () => Promise<string | undefined>,
  signal: AbortSignal,
  output: WatchOutput = process.stdout,
  clock: Clock = systemClock,
): Promise<void> {
  let drawn = 0
  while (!signal.aborted) {
    const text = await read().catch((error: unknown) => {
      if (signal.aborted) return undefined
      throw error
    })
    if (text === undefined) return
    if (output.isTTY === true) {
      const lines = fitting(text, output)
      output.write(`${drawn === 0 ? '' : `\u001b[${drawn}A\r`}\u001b[J${lines.join('\n')}\n`)
      drawn = lines.length
    } else output.write(text)
    await sleep(clock, everyMs, signal).catch(() => undefined)
  }
  /* below the ^C that a terminal shows */
  if (output.isTTY === true) output.write('\n')
}

/** As many lines, as long, as the terminal can show without scrolling or wrapping: else the next is not drawn over it. */
function fitting(text: string, { columns = 0, rows = 0 }: WatchOutput): readonly string[] {
  /* a terminal that does not know its size says 0 */
  const width = columns === 0 ? 80 : columns
  const height = rows === 0 ? 24 : rows
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => cut(stripVTControlCharacters(line), width - 1))
  return lines.length < height ? lines : [...lines.slice(0, Math.max(1, height - 2)), '…']
}

/* some characters are two wide */
function cut(line: string, width: number): string {
  if (stringWidth(line) <= width) return line
  let shown = ''
  for (const character of line) {
    if (stringWidth(shown + character) > width) break
    shown += character
  }
  return shown
}
