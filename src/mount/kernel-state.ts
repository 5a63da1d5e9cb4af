/**
 * The file in which a mount writes down what the kernel knows of it, so that another process can go on with it. Layer:
 * mount; the lines are `kernel-record.ts`'s, after one of JSON that says what else has to be known.
 *
 * Invariant: what stands in it is all there is, or there is no such file: when it cannot be written it is removed, and
 * written anew as soon as it can be. The page cache is enough: no mount survives the machine.
 */
import { closeSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import type { Clock } from '../clock.ts'
import { type KernelRecordSink, readRemembered, type Remembered } from '../filesystem/remembered.ts'
import type { Logger } from '../log.ts'

/** What a newer program must be able to read; to be raised when an older one could not. */
export const kernelStateVersion = 1

const header = v.object({
  version: v.literal(kernelStateVersion),
  /** What the kernel was agreed with on; undefined: not yet. */
  agreed: v.optional(v.object({ expireOnly: v.boolean(), resend: v.boolean() })),
  /** Of the kernel's mount table. */
  mount: v.optional(v.object({ id: v.number(), device: v.string() })),
  /** The mount point, canonical. */
  directory: v.string(),
  /** When the mount began, ISO 8601. */
  mountedAt: v.string(),
  /** Of the session, Unix milliseconds. */
  createdAtMs: v.number(),
  agentVersion: v.optional(v.string()),
  /** Each time that another process went on with it; ISO 8601. */
  restarts: v.array(v.object({ at: v.string(), why: v.string() })),
})

export type KernelStateHeader = v.InferOutput<typeof header>

export interface KernelStateFound {
  readonly header: KernelStateHeader
  readonly remembered: Remembered
}

/** Written anew when it is both longer than this and twice as long as it was then. */
const longBytes = 1024 * 1024
const tryAgainMs = 10_000

export class KernelState implements KernelRecordSink {
  readonly #file: string
  readonly #clock: Clock
  readonly #logger: Logger
  #header: KernelStateHeader
  #fd: number | undefined
  #bytes = 0
  #newBytes = 0
  #failedAt: number | undefined
  #isOver = false

  constructor(
    stateDirectory: string,
    given: KernelStateHeader,
    { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  ) {
    this.#file = fileIn(stateDirectory)
    this.#header = given
    this.#clock = clock
    this.#logger = logger
  }

  get header(): KernelStateHeader {
    return this.#header
  }

  /** Counts with what is written anew next. */
  describe(known: Partial<KernelStateHeader>): void {
    this.#header = { ...this.#header, ...known }
  }

  /** False once somebody has removed the file. */
  isThere(): boolean {
    return (
      this.#isOver || this.#fd === undefined || statSync(this.#file, { throwIfNoEntry: false }) !== undefined
    )
  }

  get isLong(): boolean {
    if (this.#fd === undefined)
      return this.#isOver ? false : this.#clock.now() - (this.#failedAt ?? 0) > tryAgainMs
    return this.#bytes > Math.max(longBytes, 2 * this.#newBytes)
  }

  append(lines: string): void {
    if (this.#fd === undefined) return
    try {
      const written = writeSync(this.#fd, lines)
      this.#bytes += written
      if (written < Buffer.byteLength(lines))
        throw Object.assign(new Error('short write'), { code: 'ENOSPC' })
    } catch (error) {
      this.#failed(error)
    }
  }

  replace(lines: string): void {
    if (this.#isOver) return
    const fresh = `${this.#file}.new`
    try {
      const fd = openSync(fresh, 'w', 0o600)
      try {
        const bytes = Buffer.from(`${JSON.stringify(this.#header)}\n${lines}`)
        for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done)
        renameSync(fresh, this.#file)
        this.#close()
        this.#fd = fd
        this.#bytes = this.#newBytes = bytes.length
        this.#failedAt = undefined
      } catch (error) {
        closeSync(fd)
        throw error
      }
    } catch (error) {
      this.#failed(error)
    }
  }

  /** Nobody is to go on with the mount. Any number of times. */
  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#close()
    rmSync(this.#file, { force: true })
  }

  /** This process goes, another goes on: the file stays as it is. */
  leave(): void {
    this.#isOver = true
    this.#close()
  }

  #failed(error: unknown): void {
    if (this.#failedAt === undefined)
      this.#logger.warn(
        { err: error },
        'what the kernel knows cannot be written down: until it can be, the mount ends if this process does',
      )
    this.#failedAt = this.#clock.now()
    this.#close()
    for (const file of [this.#file, `${this.#file}.new`]) rmSync(file, { force: true })
  }

  #close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd)
    this.#fd = undefined
  }
}

function fileIn(stateDirectory: string): string {
  return join(stateDirectory, 'kernel-state')
}

/** What a process before this one wrote down; throws, with the reason in words, where nobody can go on with it. */
export function readKernelState(stateDirectory: string): KernelStateFound {
  const file = fileIn(stateDirectory)
  const text = readFileSync(file, 'utf8')
  const end = text.indexOf('\n')
  const first: unknown = JSON.parse(text.slice(0, Math.max(0, end)))
  const parsed = v.safeParse(header, first)
  if (!parsed.success) {
    const { version } = first as { readonly version?: unknown }
    const isOther = version !== kernelStateVersion
    throw new Error(
      isOther
        ? `${file}: written by another version of this program (${String(version)}, this one reads ${kernelStateVersion})`
        : `${file}: is damaged`,
    )
  }
  return { header: parsed.output, remembered: readRemembered(text.slice(end + 1)) }
}
