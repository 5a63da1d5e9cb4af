/**
 * Lines of JSON that are put together as bytes: most say a few numbers and a name, of which no text need be made.
 * Layer: filesystem; for `kernel-record.ts`, which writes them for every reply that names something.
 *
 * Invariant: what is written is what `JSON.stringify` writes.
 */

const firstBytes = 64 * 1024
/** The longest number, and a few constant characters. */
const shortBytes = 32

const [zero, quote, backslash, firstPrintable, lastPrintable] = [0x30, 0x22, 0x5c, 0x20, 0x7e]

export class RecordLines {
  #bytes = Buffer.allocUnsafe(firstBytes)
  #length = 0

  get length(): number {
    return this.#length
  }

  clear(): void {
    this.#length = 0
  }

  copyTo(target: Buffer, offset: number): void {
    this.#bytes.copy(target, offset, 0, this.#length)
  }

  toString(): string {
    return this.#bytes.toString('utf8', 0, this.#length)
  }

  /** As it is; any text. */
  text(text: string): this {
    this.#makeRoom(3 * text.length)
    this.#length += this.#bytes.write(text, this.#length)
    return this
  }

  /** As it is; a few characters of ASCII. */
  ascii(text: string): this {
    this.#makeRoom(text.length)
    const bytes = this.#bytes
    let at = this.#length
    for (let i = 0; i < text.length; i++) bytes[at++] = text.charCodeAt(i)
    this.#length = at
    return this
  }

  /** A whole number from 0 on. */
  number(value: number): this {
    this.#makeRoom(shortBytes)
    const half = 100_000_000
    if (value < half) this.#digits(value, digitsOf(value))
    else {
      /* two halves that fit into integers of the machine */
      const high = Math.floor(value / half)
      this.#digits(high, digitsOf(high))
      this.#digits(value - high * half, 8)
    }
    return this
  }

  /** In quotes. */
  string(text: string): this {
    this.#makeRoom(text.length + 2)
    const bytes = this.#bytes
    let at = this.#length
    bytes[at++] = quote
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      const isPlain = code >= firstPrintable && code <= lastPrintable && code !== quote && code !== backslash
      if (!isPlain) return this.text(JSON.stringify(text))
      bytes[at++] = code
    }
    bytes[at++] = quote
    this.#length = at
    return this
  }

  numbers(values: readonly number[]): this {
    this.ascii('[')
    for (let i = 0; i < values.length; i++) {
      if (i > 0) this.ascii(',')
      this.number(values[i] ?? 0)
    }
    return this.ascii(']')
  }

  #digits(value: number, count: number): void {
    const bytes = this.#bytes
    const start = this.#length
    let rest = value | 0
    for (let at = start + count - 1; at >= start; at--) {
      const tenth = (rest / 10) | 0
      bytes[at] = zero + rest - 10 * tenth
      rest = tenth
    }
    this.#length = start + count
  }

  #makeRoom(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return
    const bigger = Buffer.allocUnsafe(2 * (this.#length + bytes))
    this.copyTo(bigger, 0)
    this.#bytes = bigger
  }
}

function digitsOf(value: number): number {
  let count = 1
  for (let bound = 10; value >= bound && count < 8; bound *= 10) count++
  return count
}
