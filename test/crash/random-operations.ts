/**
 * A program at random: operations that succeed when carried out in their order. Layer: tests.
 */
import type { Random } from '../write-back/random.ts'
import { after, type Operation, type Tree } from './operations.ts'

const names = ['a', 'b', 'c', 'd.txt'] as const
const directories = ['', 'x', 'y', 'x/z'] as const

/** The next `count` operations of a program that finds this tree. */
export function randomOperations(start: Tree, random: Random, count: number): Operation[] {
  const operations: Operation[] = []
  const open = new Set<string>()
  let tree = start
  while (operations.length < count) {
    const operation = propose(tree, open, random)
    if (!operation) continue
    operations.push(operation)
    tree = after(tree, operation)
    follow(operation, open)
  }
  return operations
}

/** Which names the program has open; it uses an open file by the name that it was opened by. */
function follow(operation: Operation, open: Set<string>): void {
  if (operation.do === 'create') open.add(operation.path)
  if (operation.do === 'close') open.delete(operation.path)
}

function propose(tree: Tree, open: ReadonlySet<string>, random: Random): Operation | undefined {
  const path = somePath(random)
  const held = tree.get(path)
  const isFile = typeof held === 'string'
  const hasParent = !path.includes('/') || tree.get(path.slice(0, path.lastIndexOf('/'))) === null
  const text = `[${random.below(1e6)}]`.repeat(1 + random.below(40))
  switch (random.below(12)) {
    case 0:
    case 1:
      return hasParent && held !== null && !open.has(path) ? { do: 'create', path } : undefined
    case 2:
    case 3:
      return isFile ? { do: 'write', path, text } : undefined
    case 4:
      return isFile ? { do: 'write', path, at: random.below(held.length + 10), text } : undefined
    case 5:
      return isFile ? { do: 'truncate', path, size: random.below(held.length + 10) } : undefined
    case 6: {
      const [first] = open
      return first === undefined ? undefined : { do: 'close', path: first }
    }
    case 7:
      return isFile && !open.has(path) ? { do: 'unlink', path } : undefined
    case 8: {
      const to = somePath(random)
      const isFree = to !== path && tree.get(to) !== null && !open.has(path) && !open.has(to)
      return isFile && isFree && hasParentIn(tree, to) ? { do: 'rename', path, to } : undefined
    }
    case 9: {
      const directory = random.pick(directories)
      const isFree = directory !== '' && !tree.has(directory) && hasParentIn(tree, directory)
      return isFree ? { do: 'mkdir', path: directory } : undefined
    }
    case 10: {
      const directory = random.pick(directories)
      const isEmpty = tree.get(directory) === null && !isAbove(directory, tree.keys())
      return isEmpty ? { do: 'rmdir', path: directory } : undefined
    }
    default: {
      const [from, to] = [random.pick(directories), random.pick(directories)]
      const isFree = to !== '' && !tree.has(to) && hasParentIn(tree, to) && !to.startsWith(`${from}/`)
      const isThere = tree.get(from) === null && !isAbove(from, open)
      return isThere && isFree ? { do: 'rename', path: from, to } : undefined
    }
  }
}

function somePath(random: Random): string {
  const directory = random.pick(directories)
  const name = random.pick(names)
  return directory === '' ? name : `${directory}/${name}`
}

function hasParentIn(tree: Tree, path: string): boolean {
  return !path.includes('/') || tree.get(path.slice(0, path.lastIndexOf('/'))) === null
}

function isAbove(directory: string, paths: Iterable<string>): boolean {
  for (const path of paths) if (path.startsWith(`${directory}/`)) return true
  return false
}
