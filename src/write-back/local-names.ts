/**
 * Names that stay on this machine (`--local-names`): editors' swap and probe files. Layer: write-back.
 */

export class LocalNames {
  readonly #patterns: readonly RegExp[]

  /** Shell patterns over the last part of a path: `*` and `?`, which also match a leading dot. */
  constructor(patterns: readonly string[]) {
    this.#patterns = patterns.map((pattern) => {
      const source = pattern
        .replace(/[\\^$+.()|{}[\]]/g, '\\$&')
        .replaceAll('*', '.*')
        .replaceAll('?', '.')
      return new RegExp(`^${source}$`, 's')
    })
  }

  matches(name: string): boolean {
    return this.#patterns.some((pattern) => pattern.test(name))
  }
}
