/**
 * Names that stay on this machine: `--local-names`, the swap and probe files of editors; `--ignore`, whole directories
 * such as node_modules. Layer: write-back.
 */
import ignore from 'ignore'
import { nameOf } from '../../remote-path.ts'

/** Whether what is new at a path stays on this machine. */
export function pathsStaying({
  localNames,
  ignore: patterns = [],
}: {
  readonly localNames: readonly string[]
  readonly ignore?: readonly string[] | undefined
}): (path: string) => boolean {
  const isLocalName = namesMatching(localNames)
  if (patterns.length === 0) return (path) => isLocalName(nameOf(path))
  const isIgnored = pathsMatching(patterns)
  return (path) => isLocalName(nameOf(path)) || isIgnored(path)
}

/* the matcher remembers each path that it was asked for */
const rememberedPaths = 10_000

/** Whether a path, or a directory above it, matches one of the patterns, which are those of .gitignore. */
function pathsMatching(patterns: readonly string[]): (path: string) => boolean {
  const newMatcher = (): ignore.Ignore => ignore({ ignorecase: false }).add(patterns)
  let matcher = newMatcher()
  let asked = 0
  return (path) => {
    asked += 1
    if (asked % rememberedPaths === 0) matcher = newMatcher()
    /* whether it is a directory is not always known yet: `name/` takes a file of that name, too */
    return matcher.ignores(path) || matcher.ignores(`${path}/`)
  }
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
