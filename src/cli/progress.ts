/**
 * What an unmount or a sync still waits for: on a terminal one line drawn again and again, else a line now
 * and then. Layer: cli.
 *
 * Invariant: nothing is written when all is done at once; the line of a terminal is gone at the end.
 */
import { systemClock } from '../clock.ts'
import type { Clock } from '../clock.ts'
import type { Progress } from '../control/protocol.ts'
import { showBytes, showCount } from './amounts.ts'

/* a log or a pipe wants to know that it goes on, not how every file goes */
const plainEveryMs = 5000

/** The part of a terminal or another stream that is needed. */
export interface ProgressOutput {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

export interface ProgressDisplay {
  readonly show: (progress: Progress) => void
  readonly end: () => void
}

export function showProgress(
  output: ProgressOutput,
  verb: string,
  clock: Clock = systemClock,
): ProgressDisplay {
  let drawn = false
  /* what is done within the first five seconds needs no line */
  let writtenAt = clock.now()
  return {
    show(progress) {
      const line = describe(verb, progress)
      if (output.isTTY === true) {
        /* a terminal that does not know its width says 0 */
        const width = output.columns === undefined || output.columns === 0 ? 80 : output.columns
        output.write(`\r\u001b[K${line.slice(0, Math.max(width - 1, 20))}`)
        drawn = true
      } else if (progress.paths > 0 && clock.now() - writtenAt >= plainEveryMs) {
        output.write(`${line}\n`)
        writtenAt = clock.now()
      }
    },
    end() {
      if (drawn) {
        output.write('\r\u001b[K')
      }
    },
  }
}

function describe(verb: string, { paths, bytes, waitingFor }: Progress): string {
  const left = `${verb}: ${showCount(paths, 'path')}, ${showBytes(bytes)} left`
  return waitingFor === undefined ? left : `${left}; waiting for ${waitingFor}`
}
