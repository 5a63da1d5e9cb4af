/**
 * How far long work has come: on a terminal a bar with files, bytes, rate and the time left, else a line now and then.
 * Layer: cli.
 *
 * Invariant: nothing is written when all is done at once; the bar of a terminal is gone at the end.
 */
import type { Params, SingleBar } from 'cli-progress'
import { systemClock } from '../clock.ts'
import type { Clock } from '../clock.ts'
import type { Progress } from '../control/protocol.ts'
import { showBytes, showCount, showDuration } from './amounts.ts'

/* a log or a pipe wants to know that it goes on, not how every file goes */
const plainEveryMs = 5000
/* what is drawn and gone at once is only noise */
const drawnAfterMs = 300
/* of the rate: what is further back says nothing of now */
const rateOverMs = 10_000
/* what a file costs beside its bytes, for how much of the bar it is */
const bytesOfFile = 4096
const barWidth = 20

/** Done, and all that is known of; bytes of what is under way count as done. */
export interface Work {
  readonly files: number
  readonly bytes: number
  readonly totalFiles: number
  readonly totalBytes: number
  /** Why nothing moves. */
  readonly waitingFor?: string | undefined
}

export interface WorkDisplay {
  readonly show: (work: Work) => void
  readonly end: () => void
}

/** The display of a copy, of which what is done and what there is are known. */
export function showWork(output: NodeJS.WriteStream, verb: string, clock: Clock = systemClock): WorkDisplay {
  return output.isTTY ? new Bar(output, verb, clock) : new Lines(output, verb, clock)
}

export interface ProgressDisplay {
  readonly show: (progress: Progress) => void
  readonly end: () => void
}

/** The display of a wait for a mount, which tells what is left: what is gone from that is done. */
export function showProgress(
  output: NodeJS.WriteStream,
  verb: string,
  clock: Clock = systemClock,
): ProgressDisplay {
  const display = showWork(output, verb, clock)
  const done = { files: 0, bytes: 0 }
  let left: Progress | undefined
  return {
    show(progress) {
      const { paths, bytes, waitingFor } = progress
      done.files += Math.max(0, (left?.paths ?? paths) - paths)
      done.bytes += Math.max(0, (left?.bytes ?? bytes) - bytes)
      left = progress
      const total = { totalFiles: done.files + paths, totalBytes: done.bytes + bytes }
      display.show({ ...done, ...total, waitingFor })
    },
    end: () => display.end(),
  }
}

/** Bytes per second of late. */
class Rate {
  readonly #clock: Clock
  #samples: { readonly at: number; readonly bytes: number }[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** undefined while there is nothing to go by. */
  at(bytes: number): number | undefined {
    const now = this.#clock.now()
    this.#samples = [...this.#samples.filter(({ at }) => now - at <= rateOverMs), { at: now, bytes }]
    const [first] = this.#samples
    return first === undefined || now === first.at
      ? undefined
      : ((bytes - first.bytes) * 1000) / (now - first.at)
  }
}

class Bar implements WorkDisplay {
  readonly #output: NodeJS.WriteStream
  readonly #verb: string
  readonly #clock: Clock
  readonly #rate: Rate
  readonly #begunAt: number
  #loading = false
  #bar: SingleBar | undefined
  #newest: Work | undefined
  #hasEnded = false

  constructor(output: NodeJS.WriteStream, verb: string, clock: Clock) {
    this.#output = output
    this.#verb = verb
    this.#clock = clock
    this.#rate = new Rate(clock)
    this.#begunAt = clock.now()
  }

  show(work: Work): void {
    this.#newest = work
    const bytesPerSecond = this.#rate.at(work.bytes)
    if (this.#clock.now() - this.#begunAt < drawnAfterMs || work.files === work.totalFiles) return
    if (this.#bar === undefined) this.#begin()
    else this.#draw(this.#bar, work, bytesPerSecond)
  }

  end(): void {
    this.#hasEnded = true
    this.#bar?.stop()
  }

  /** The library is loaded by who has something to draw. */
  #begin(): void {
    if (this.#loading) return
    this.#loading = true
    void import('cli-progress').then(({ default: { SingleBar: Drawn } }) => {
      if (this.#hasEnded || this.#newest === undefined) return
      this.#bar = new Drawn({
        stream: this.#output,
        format: (_options: unknown, params: Params, payload: { readonly shown: string }) =>
          `${this.#verb} [${bar(params.progress)}] ${payload.shown}`,
        clearOnComplete: true,
        gracefulExit: false,
      })
      this.#bar.start(1, 0, { shown: '' })
      this.#draw(this.#bar, this.#newest, undefined)
    })
  }

  #draw(drawn: SingleBar, work: Work, bytesPerSecond: number | undefined): void {
    const { files, bytes, totalFiles, totalBytes, waitingFor } = work
    const weight = (count: number, size: number): number => count * bytesOfFile + Math.max(0, size)
    drawn.setTotal(Math.max(1, weight(totalFiles, totalBytes)))
    const left = totalBytes - bytes
    const parts = [
      `${files}/${totalFiles} files`,
      `${showBytes(bytes)} of ${showBytes(totalBytes)}`,
      ...(bytesPerSecond === undefined || bytesPerSecond <= 0
        ? []
        : [`${showBytes(bytesPerSecond)}/s`, `${showDuration((left / bytesPerSecond) * 1000)} left`]),
    ]
    const why = waitingFor === undefined ? '' : `; waiting for ${waitingFor}`
    drawn.update(weight(files, bytes), { shown: parts.join(', ') + why })
  }
}

function bar(progress: number): string {
  const full = Math.max(0, Math.min(barWidth, Math.floor(progress * barWidth)))
  return '='.repeat(full).padEnd(barWidth, ' ')
}

class Lines implements WorkDisplay {
  readonly #output: NodeJS.WriteStream
  readonly #verb: string
  readonly #clock: Clock
  /* what is done within the first five seconds needs no line */
  #writtenAt: number

  constructor(output: NodeJS.WriteStream, verb: string, clock: Clock) {
    this.#output = output
    this.#verb = verb
    this.#clock = clock
    this.#writtenAt = clock.now()
  }

  show({ files, bytes, totalFiles, totalBytes, waitingFor }: Work): void {
    const left = totalFiles - files
    if (left <= 0 || this.#clock.now() - this.#writtenAt < plainEveryMs) return
    this.#writtenAt = this.#clock.now()
    const why = waitingFor === undefined ? '' : `; waiting for ${waitingFor}`
    this.#output.write(
      `${this.#verb}: ${showCount(left, 'file')}, ${showBytes(Math.max(0, totalBytes - bytes))} left${why}\n`,
    )
  }

  end(): void {
    /* what was written stays */
  }
}
