/**
 * Changes that a program makes, one system call each, and what they make of a tree. Layer: tests.
 *
 * Invariant: an operation is carried out whole or not at all, by the mount as by the model; so after a crash
 * the tree is that of the answered operations, with or without the one that was under way.
 */

export type Operation =
  /* creates or empties; it stays open until `close` */
  | { readonly do: 'create'; readonly path: string }
  /* `at` undefined: at the end; the file is opened for it unless it is open */
  | { readonly do: 'write'; readonly path: string; readonly at?: number; readonly text: string }
  /* stores to mapped pages and msync(2) */
  | { readonly do: 'map'; readonly path: string; readonly at: number; readonly text: string }
  /* stores to a mapped page that stays mapped and dirty: answered or not, it may be lost with the daemon */
  | { readonly do: 'stain'; readonly path: string; readonly at: number; readonly text: string }
  | { readonly do: 'truncate'; readonly path: string; readonly size: number }
  | { readonly do: 'close'; readonly path: string }
  | { readonly do: 'rename'; readonly path: string; readonly to: string }
  | { readonly do: 'unlink'; readonly path: string }
  | { readonly do: 'mkdir'; readonly path: string }
  | { readonly do: 'rmdir'; readonly path: string }

/** Paths: what a file holds, null for a directory. */
export type Tree = Map<string, string | null>

/** The tree after one more operation. */
export function after(tree: Tree, operation: Operation): Tree {
  const next = new Map(tree)
  const { path } = operation
  const held = tree.get(path) ?? ''
  switch (operation.do) {
    case 'create':
      next.set(path, '')
      break
    case 'write':
    case 'map':
    case 'stain': {
      const at = operation.at ?? held.length
      const before = held.slice(0, at).padEnd(at, '\0')
      next.set(path, before + operation.text + held.slice(at + operation.text.length))
      break
    }
    case 'truncate':
      next.set(path, held.slice(0, operation.size).padEnd(operation.size, '\0'))
      break
    case 'close':
      break
    case 'rename':
      for (const [below, what] of tree) {
        if (below !== path && !below.startsWith(`${path}/`)) continue
        next.delete(below)
        next.set(operation.to + below.slice(path.length), what)
      }
      break
    case 'unlink':
    case 'rmdir':
      next.delete(path)
      break
    case 'mkdir':
      next.set(path, null)
      break
  }
  return next
}

/** The trees that there may be after one more operation was answered. */
export function possible(trees: readonly Tree[], operation: Operation): Tree[] {
  return trees.flatMap((tree) =>
    operation.do === 'stain' ? [tree, after(tree, operation)] : [after(tree, operation)],
  )
}

/** In the order of its paths, for comparing. */
export function sorted(tree: Tree): Record<string, string | null> {
  return Object.fromEntries([...tree].toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
