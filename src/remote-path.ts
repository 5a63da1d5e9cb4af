/**
 * Paths of a session: '' is its home, the parts are joined by single slashes, none leads or trails.
 * Layer: below all.
 */

/** `directory` may be ''. */
export function joinPath(directory: string, name: string): string {
  return directory === '' ? name : `${directory}/${name}`
}

/** What of `path` comes after `directory`; '' for itself, undefined where it is not below it. */
export function pathBelow(directory: string, path: string): string | undefined {
  if (directory === '') return path
  if (path === directory) return ''
  return path.startsWith(`${directory}/`) ? path.slice(directory.length + 1) : undefined
}

/** '' for what is directly in the home, and for the home itself. */
export function parentOf(path: string): string {
  const cut = path.lastIndexOf('/')
  return cut < 0 ? '' : path.slice(0, cut)
}

/** The last part. */
export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}
