/**
 * Who is here and who is not. Layer: benchmark.
 *
 * Invariant: whoever does not take part says why, once.
 */
import type { Party } from './party.ts'

export class Roster {
  readonly present: Party[] = []
  /** Lines for the results. */
  readonly absent: string[] = []
  readonly #say: (line: string) => void

  /** Of the parties wanted, those that this machine can start. */
  constructor(wanted: readonly Party[], say: (line: string) => void) {
    this.#say = say
    for (const party of wanted) {
      const reason = party.missing()
      if (reason === undefined) this.present.push(party)
      else this.#note(`${party.name} does not take part: ${reason}`)
    }
  }

  /** A party that turns out not to start. */
  exclude(party: Party, error: unknown): undefined {
    this.present.splice(this.present.indexOf(party), 1)
    const reason = error instanceof Error ? error.message.trim() : String(error)
    this.#note(`${party.name} cannot be started: ${reason}`)
  }

  /** One line each, of those who take part and those who do not. */
  lines(): string[] {
    return [
      ...this.present.map(({ name, what }) => `- ${name}: ${what}`),
      ...this.absent.map((line) => `- ${line}`),
    ]
  }

  #note(line: string): void {
    this.absent.push(line)
    this.#say(line)
  }
}
