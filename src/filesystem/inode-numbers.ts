/**
 * The inode numbers that programs see. Layer: filesystem.
 *
 * A number is a hash of the directory's number and the name, so that it is the same whenever it is asked for
 * and a listing can name it without remembering the file; everything below a renamed directory keeps its own.
 *
 * Invariant: for the life of the mount a name keeps its number until it is removed, a renamed file takes its
 * number along, and no two live files have the same one.
 */

/** The root's where nobody says otherwise; no name gets it. */
export const usualRootInode = 1

export class InodeNumbers {
  readonly #onNumber: (place: string, number: number | undefined) => void
  /** Numbers that differ from the hash of their place, by place. */
  readonly #overrides = new Map<string, number>()
  /** Whose a number is: the place, or `held` for a live file that has no name any more. */
  readonly #owners = new Map<number, string>()

  /** `onNumber` is told of a number that is not the hash of its place, and of one that is not there any more. */
  constructor(onNumber: (place: string, number: number | undefined) => void = () => undefined) {
    this.#onNumber = onNumber
  }

  /** Numbers that differ from the hash of their place. */
  get overrides(): ReadonlyMap<string, number> {
    return this.#overrides
  }

  /** Takes up what a process before this one knew, before anything else. */
  restore(overrides: ReadonlyMap<string, number>): void {
    for (const [place, number] of overrides) {
      this.#overrides.set(place, number)
      this.#owners.set(number, place)
    }
  }

  /** The same of a live node; `directory` undefined: it has no name. */
  restoreNode(directory: number | undefined, name: string, number: number): void {
    this.#owners.set(number, directory === undefined ? held : placeOf(directory, name))
  }

  /** The number of a name; remembers nothing. */
  of(directory: number, name: string): number {
    const place = placeOf(directory, name)
    return this.#overrides.get(place) ?? this.#free(place)
  }

  /** The number of a name that a live node has from now on. */
  claim(directory: number, name: string): number {
    const place = placeOf(directory, name)
    const own = hashed(place, 0)
    const number = this.#overrides.get(place) ?? this.#free(place, own)
    this.#owners.set(number, place)
    if (number !== own) this.#override(place, number)
    return number
  }

  /** A number for a file that never had a name. */
  claimUnnamed(id: number): number {
    const place = `unnamed/${id}`
    const number = this.#free(place)
    this.#owners.set(number, place)
    return number
  }

  /** The name is gone; the number stays taken until `release`, for those who hold the file open. */
  unnamed(directory: number, name: string, number: number): void {
    this.#override(placeOf(directory, name), undefined)
    this.#owners.set(number, held)
  }

  /** A name that no node stood for is gone. */
  vacated(directory: number, name: string): void {
    const place = placeOf(directory, name)
    const number = this.#overrides.get(place)
    this.#override(place, undefined)
    if (number !== undefined) this.#owners.delete(number)
  }

  /** The file took its number to another name, which nobody has any more. */
  moved(number: number, from: readonly [number, string], to: readonly [number, string]): void {
    this.#override(placeOf(...from), undefined)
    const place = placeOf(...to)
    this.#owners.set(number, place)
    this.#override(place, number === hashed(place, 0) ? undefined : number)
  }

  /** The node is gone. A number that is the hash of its place needs no memory; another one keeps its place. */
  release(number: number): void {
    const owner = this.#owners.get(number)
    if (owner !== undefined && this.#overrides.get(owner) === number) return
    this.#owners.delete(number)
  }

  #override(place: string, number: number | undefined): void {
    if (this.#overrides.get(place) === number) return
    if (number === undefined) this.#overrides.delete(place)
    else this.#overrides.set(place, number)
    this.#onNumber(place, number)
  }

  /** The first number that is free for a place: its own hash, or that of the place and a salt. */
  #free(place: string, own = hashed(place, 0)): number {
    let number = own
    for (let salt = 1; !this.#isFree(number, place); salt++) number = hashed(place, salt)
    return number
  }

  #isFree(number: number, place: string): boolean {
    const owner = this.#owners.get(number)
    return number > usualRootInode && (owner === undefined || owner === place)
  }
}

const held = ''

function placeOf(directory: number, name: string): string {
  return `${directory}/${name}`
}

/**
 * 53 bits, what a double holds exactly: two hashes of 32 bits, multiplied and mixed. It is computed for every name
 * that is listed, and need not withstand anybody: a number that is taken is not given out again.
 */
function hashed(place: string, salt: number): number {
  let one = 0x811c_9dc5 ^ salt
  let other = 0x41c6_ce57 ^ salt
  for (let i = 0; i < place.length; i++) {
    const code = place.charCodeAt(i)
    one = Math.imul(one ^ code, 0x9e37_79b1)
    other = Math.imul(other ^ code, 0x85eb_ca77)
  }
  const low = mixed(one) ^ mixed(other + 0x27d4_eb2f)
  const high = mixed(other ^ low)
  return (low >>> 0) + (high & 0x1f_ffff) * 2 ** 32
}

/** A bijection in which each bit of the result depends on each bit of what is given. */
function mixed(bits: number): number {
  let result = Math.imul(bits ^ (bits >>> 16), 0x85eb_ca6b)
  result = Math.imul(result ^ (result >>> 13), 0xc2b2_ae35)
  return result ^ (result >>> 16)
}
