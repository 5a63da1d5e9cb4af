/**
 * A recording of script(1) as an animated SVG: `node scripts/recording.ts OUTPUT TIMING`. Lines appear as they came;
 * when the window is full, the oldest go.
 *
 * Invariant: nothing is drawn that was not printed. Long waits are shortened, the directory of the demo is shown as
 * /mnt/s, and lines that a terminal would have overwritten are left out.
 */
import { readFileSync } from 'node:fs'
import { stripVTControlCharacters } from 'node:util'

const columns = 100
const rows = 24
const lineHeight = 18
const characterWidth = 8.4
const padding = 14
const longestWaitMs = 1200
const readingMs = 900
const restMs = 4000

interface Line {
  readonly text: string
  /** Typed by the user, as the demo shows it in bold. */
  readonly isTyped: boolean
  readonly atMs: number
}

/** What was printed, line by line, with the time of each one's end. */
function linesOf(output: string, timing: string): Line[] {
  /* script(1) begins with a line of its own, which the timing knows nothing of */
  const bytes = Buffer.from(output.slice(output.indexOf('\n') + 1))
  const lines: Line[] = []
  let nowMs = 0
  let offset = 0
  let open = ''
  for (const [wait = '0', count = '0'] of timing
    .trim()
    .split('\n')
    .map((line) => line.split(' '))) {
    nowMs += Math.min(Number(wait) * 1000, longestWaitMs)
    const end = offset + Number(count)
    const parts = (open + bytes.subarray(offset, end).toString()).split('\n')
    offset = end
    open = parts.pop() ?? ''
    for (const part of parts) {
      const drawn = part.replace(/\r$/, '')
      const last = drawn.slice(drawn.lastIndexOf('\r') + 1).replace(/^.*\u001b\[K/, '')
      const isTyped = last.includes('\u001b[1m$ ')
      const text = stripVTControlCharacters(last).replaceAll(
        /\S*\/mount-session-demo\.\w+\/session/g,
        '/mnt/s',
      )
      /* a command is read before its answer is */
      if (isTyped) nowMs += readingMs
      lines.push({ text: text.slice(0, columns), isTyped, atMs: nowMs })
    }
  }
  return lines
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

/** All lines in one column, of which the window shows the last `rows`: the column moves up as it grows. */
function draw(lines: readonly Line[]): string {
  const totalMs = (lines.at(-1)?.atMs ?? 0) + restMs
  const percent = (ms: number): string => ((100 * ms) / totalMs).toFixed(2)
  const width = Math.round(columns * characterWidth + 2 * padding)
  const height = rows * lineHeight + 2 * padding
  const shown = lines.map(({ text, isTyped, atMs }, index) => {
    const at = percent(atMs)
    const style = `animation-name:l${index}`
    const frames = `@keyframes l${index}{0%{opacity:0}${at}%{opacity:0}${(Number(at) + 0.01).toFixed(2)}%{opacity:1}100%{opacity:1}}`
    const y = padding + (index + 1) * lineHeight - 4
    const element = `<text x="${padding}" y="${y}" class="${isTyped ? 'l t' : 'l'}" style="${style}" xml:space="preserve">${escaped(text)}</text>`
    return { frames, element }
  })
  const moves = lines.flatMap(({ atMs }, index) => {
    const hidden = index + 1 - rows
    return hidden <= 0 ? [] : [`${percent(atMs)}%{transform:translateY(-${hidden * lineHeight}px)}`]
  })
  const last = Math.max(0, lines.length - rows) * lineHeight
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="ui-monospace,Menlo,Consolas,monospace" font-size="14">`,
    `<style>.l{fill:#d7dae0;animation-duration:${totalMs}ms;animation-iteration-count:infinite;animation-timing-function:step-end}`,
    `.t{fill:#fff;font-weight:bold}.c{animation:c ${totalMs}ms step-end infinite}`,
    `@keyframes c{0%{transform:translateY(0)}${moves.join('')}100%{transform:translateY(-${last}px)}}`,
    ...shown.map(({ frames }) => frames),
    `</style><rect width="100%" height="100%" rx="8" fill="#1e2127"/>`,
    `<svg x="0" y="${padding}" width="${width}" height="${rows * lineHeight}" viewBox="0 ${padding} ${width} ${rows * lineHeight}"><g class="c">`,
    ...shown.map(({ element }) => element),
    `</g></svg></svg>`,
    '',
  ].join('\n')
}

const [output = '', timing = ''] = process.argv.slice(2)
process.stdout.write(draw(linesOf(readFileSync(output, 'utf8'), readFileSync(timing, 'utf8'))))
