/**
 * The sessions of a mount of all of an agent that programs have gone into, each with a number of its own. Layer: mount.
 *
 * Invariant: a number stands for the same session as long as the mount lasts, whichever processes serve it: what the
 * kernel calls a file begins with it.
 */
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileIn, readKernelState } from './kernel-state.ts'
import { Slot, type SlotSurroundings } from './agent-slot.ts'

export class Slots {
  readonly #directory: string
  readonly #around: SlotSurroundings
  readonly #byNumber = new Map<number, Slot>()
  readonly #bySession = new Map<string, Slot>()
  #last = 0

  /** `directory`: with one for each; `isContinued`: those of a process before this one are taken up. */
  constructor(directory: string, isContinued: boolean, around: SlotSurroundings) {
    this.#directory = directory
    this.#around = around
    if (!isContinued) this.clear()
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    for (const name of readdirSync(directory)) this.#restore(name)
  }

  get all(): readonly Slot[] {
    return [...this.#byNumber.values()]
  }

  numbered(number: number): Slot | undefined {
    return this.#byNumber.get(number)
  }

  find(session: string): Slot | undefined {
    return this.#bySession.get(session)
  }

  of(session: string): Slot {
    return this.find(session) ?? this.#add(this.#last + 1, session)
  }

  /** What is written down of them is of no use to anybody any more. */
  clear(): void {
    rmSync(this.#directory, { recursive: true, force: true })
  }

  #restore(name: string): void {
    const number = Number(name)
    if (!Number.isSafeInteger(number)) return
    try {
      const { session } = readKernelState(join(this.#directory, name)).header
      if (session !== undefined) this.#add(number, session)
    } catch (error) {
      const file = fileIn(join(this.#directory, name))
      this.#around.logger.error({ file, err: error }, 'a session that was open cannot be gone on with')
      this.#last = Math.max(this.#last, number)
    }
  }

  #add(number: number, session: string): Slot {
    const slot = new Slot(number, session, join(this.#directory, String(number)), this.#around)
    this.#byNumber.set(number, slot)
    this.#bySession.set(session, slot)
    this.#last = Math.max(this.#last, number)
    return slot
  }
}
