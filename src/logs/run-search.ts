/**
 * Where a growing run of lines agrees with recorded ones, as far as both go. Layer: logs.
 *
 *   text        a b a b c            `start` is the first place, from the left, from which the run agrees with
 *   pattern         a b c d          the text; what of it lies beyond the end of the text agrees with anything
 *
 * The search of Knuth, Morris and Pratt, with a pattern that comes line by line.
 *
 * Invariant: all calls together look at the text a fixed number of times for each line of either, also where all
 * lines are equal.
 */
export class RunSearch {
  readonly #text: readonly number[]
  readonly #pattern: number[] = []
  /** For each beginning of the pattern, the length of the longest shorter one that is its end as well. */
  readonly #borders: number[] = []
  /** So much of the pattern agrees from `start` on. */
  #agreed = 0
  #start = 0

  constructor(text: readonly number[], pattern: readonly number[] = []) {
    this.#text = text
    for (const key of pattern) this.push(key)
  }

  get start(): number {
    return this.#start
  }

  /** The pattern, as far as it has come. */
  get length(): number {
    return this.#pattern.length
  }

  push(key: number): void {
    let border = this.#borders.at(-1) ?? 0
    while (border > 0 && this.#pattern[border] !== key) border = this.#borders[border - 1] ?? 0
    const isLonger = this.#pattern.length > 0 && this.#pattern[border] === key
    this.#borders.push(isLonger ? border + 1 : border)
    this.#pattern.push(key)
    this.#extend()
  }

  /** Goes on to the first place that is `least` or more; `least` is not beyond the end of the text. */
  moveTo(least: number): void {
    while (this.#start < least) {
      this.#shift()
      this.#extend()
    }
  }

  /** Goes on to the last place at which the whole pattern lies within the text; undefined where there is none. */
  moveToLast(): number | undefined {
    let last: number | undefined
    while (this.#start <= this.#text.length - this.#pattern.length) {
      last = this.#start
      this.moveTo(last + 1)
    }
    return last
  }

  #extend(): void {
    while (this.#agreed < this.#pattern.length && this.#start + this.#agreed < this.#text.length) {
      if (this.#text[this.#start + this.#agreed] === this.#pattern[this.#agreed]) this.#agreed++
      else this.#shift()
    }
  }

  #shift(): void {
    const border = this.#borders[this.#agreed - 1]
    this.#start += border === undefined ? 1 : this.#agreed - border
    this.#agreed = border ?? 0
  }
}
