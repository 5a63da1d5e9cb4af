/**
 * Names with a meaning of their own: those that stay on this machine (`--local-names`: editors' swap and probe
 * files), and the marker that makes an empty directory come to be. Layer: write-back.
 */
import { nameOf } from '../../remote-path.ts'

/** Put into a directory and taken away again, where the service has no call that makes one. */
export const markerName = '.mount-session-marker'

export function isMarker(path: string): boolean {
  return nameOf(path) === markerName
}

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
