/**
 * Goes on where a process before this one ended: nodes, open handles and their bytes as the kernel knows them. Layer:
 * filesystem.
 *
 * Invariant: nothing is asked of the service, and nothing is answered, before all of it is as it was.
 */
import type { FileBytes } from './file-bytes.ts'
import type { Ground } from './ground.ts'
import type { Remembered, RememberedMove } from './remembered.ts'
import type { Tree } from './tree.ts'

/** `appended` gets the requests whose bytes have come to the end of their file already. */
export function goOn(
  remembered: Remembered,
  { tree, handles, specials, changes }: Ground,
  bytes: FileBytes,
  appended: Set<number>,
): void {
  tree.restore(remembered, specials)
  handles.restore(remembered, tree)
  for (const move of remembered.moves) if (changes.wasCarriedOut(move.request)) moveIn(tree, move)
  for (const { id, facts } of remembered.nodes.values()) {
    const node = tree.find(id)
    if (node?.kind === 'file') bytes.nameless.restore(node, facts)
  }
  for (const { id, facts } of remembered.handles.values()) {
    const handle = handles.find(id)
    if (handle?.kind !== 'file' || facts.retained !== true) continue
    const copy = bytes.copyOf(handle.node) ?? handle.node.retained
    if (copy !== undefined) bytes.retain(handle, copy)
  }
  const copyOf = (id: number): ReturnType<FileBytes['copyOf']> => {
    const node = tree.find(id)
    return node?.kind === 'file' ? (bytes.copyOf(node) ?? node.retained) : undefined
  }
  const { lastAppend, appends } = remembered
  if (lastAppend !== undefined) {
    const { node, offset, length } = lastAppend
    const copy = copyOf(node)
    /* the process ended in the middle of it: what there is of it goes, since it comes again */
    if (copy !== undefined && copy.size > offset && copy.size < offset + length) copy.truncate(offset)
  }
  for (const [request, { node, offset, length }] of appends) {
    const copy = copyOf(node)
    if (copy !== undefined && copy.size >= offset + length) appended.add(request)
  }
  for (const { id } of remembered.nodes.values()) {
    const node = tree.find(id)
    if (node !== undefined) tree.settle(node)
  }
}

/** As the request did that the process before this one did not come to write down. */
function moveIn(tree: Tree, { from: [id, name], to }: RememberedMove): void {
  const directory = tree.find(id)
  if (directory?.kind !== 'directory') return
  if (to === undefined) {
    tree.vacate(directory, name)
    return
  }
  const node = directory.children.get(name)
  const [newId, newName] = to
  const newDirectory = tree.find(newId)
  if (newDirectory?.kind !== 'directory') return
  tree.vacate(newDirectory, newName)
  if (node === undefined) return
  tree.move(node, newDirectory, newName)
  /* its times have gone along with the name */
  if (node.kind === 'file') node.own = {}
}
