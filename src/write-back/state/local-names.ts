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

/** Whether a name matches one of the shell patterns: `*` and `?`, which also match a leading dot. */
export function namesMatching(patterns: readonly string[]): (name: string) => boolean {
  const expressions = patterns.map((pattern) => {
    const source = pattern
      .replace(/[\\^$+.()|{}[\]]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.')
    return new RegExp(`^${source}$`, 's')
  })
  return (name) => expressions.some((expression) => expression.test(name))
}
