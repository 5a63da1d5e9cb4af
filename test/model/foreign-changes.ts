/**
 * What the agent does to the reference tree, behind the back of those who have it open. Layer: tests.
 *
 * Invariant: whoever has an entry open whose name the agent took is promised nothing more of it.
 */
import { type DirectoryObject, type Entry, newDirectory, newFile, touch } from './entries.ts'
import { bytesOf, type ForeignChange } from './operations.ts'
import { Failure, type Tree } from './tree.ts'

/** Whether what comes of it is specified: names only we have, and ways through files, are left alone. */
export function admitsForeign(
  tree: Tree,
  change: ForeignChange,
  isScratch: (name: string) => boolean,
): boolean {
  const all = change.path.split('/')
  if (all.some(isScratch)) return false
  let entry: Entry = tree.root
  for (const name of all.slice(0, -1)) {
    const next: Entry | undefined = entry.children.get(name)
    if (next === undefined) return change.do !== 'foreignRemove'
    if (next.kind === 'file') return false
    entry = next
  }
  const there = entry.children.get(all.at(-1) ?? '')
  if (there?.kind === 'directory') {
    for (const [below] of tree.paths(there)) if (below.split('/').some(isScratch)) return false
    return change.do !== 'foreignMkdir'
  }
  return change.do !== 'foreignRemove' || there !== undefined
}

export function applyForeign(tree: Tree, change: ForeignChange): void {
  switch (change.do) {
    case 'foreignWrite':
      foreignWrite(tree, change.path, bytesOf(change.bytes))
      return
    case 'foreignRemove': {
      const [directory, name] = tree.place(change.path)
      lose(directory.children.get(name))
      tree.take(directory, name)
      return
    }
    case 'foreignMkdir': {
      const [directory, name] = foreignPlace(tree, change.path)
      lose(directory.children.get(name))
      tree.put(directory, name, newDirectory())
    }
  }
}

function foreignWrite(tree: Tree, path: string, bytes: Buffer): void {
  const [directory, name] = foreignPlace(tree, path)
  const there = directory.children.get(name)
  if (there?.kind === 'file') {
    there.bytes = bytes
    touch(there)
    return
  }
  lose(there)
  tree.put(directory, name, { ...newFile(), bytes, mode: undefined, owner: undefined })
}

/** Ways are made as the service makes them. */
function foreignPlace(tree: Tree, path: string): [DirectoryObject, string] {
  const all = path.split('/')
  let directory = tree.root
  for (const name of all.slice(0, -1)) {
    let next = directory.children.get(name)
    if (next === undefined) {
      next = tree.put(directory, name, newDirectory())
    }
    if (next.kind === 'file') throw new Failure('ENOTDIR')
    directory = next
  }
  touch(directory)
  return [directory, all.at(-1) ?? '']
}

function lose(entry: Entry | undefined): void {
  if (entry !== undefined) entry.lost = true
  if (entry?.kind === 'directory') for (const child of entry.children.values()) lose(child)
}
