/**
 * What git's own files say of one another, as far as it leads from HEAD to the tree of its commit. Layer: prefetch.
 *
 * Invariant: whatever is in them, an answer is the name of an object or nothing. Sources: gitrepository-layout(5) for HEAD,
 * the refs and loose objects; git-pack-refs(1) for packed-refs.
 */
import { inflateSync } from 'node:zlib'

/** A commit with a long message and many parents is well below. */
const maxCommitBytes = 64 * 1024

const objectId = '([0-9a-f]{40}|[0-9a-f]{64})'
const isObjectId = new RegExp(`^${objectId}\\s*$`)
const refOfHead = /^ref: (refs\/[^\s]+)\s*$/
const treeOfCommit = new RegExp(`^commit \\d+\\0tree ${objectId}\\n`)

/** The commit that HEAD names, by what is known of the files of the repository. */
export function commitOf(read: (name: string) => Uint8Array | undefined): string | undefined {
  const head = textOf(read('HEAD'))
  const ref = refOfHead.exec(head)?.[1]
  if (ref === undefined) return isObjectId.exec(head)?.[1]
  return isObjectId.exec(textOf(read(ref)))?.[1] ?? packed(textOf(read('packed-refs')), ref)
}

/** `loose`: the file of an object of its own. Undefined where it is no commit. */
export function treeOf(loose: Uint8Array | undefined): string | undefined {
  if (loose === undefined) return undefined
  try {
    const text = inflateSync(loose, { maxOutputLength: maxCommitBytes }).toString('latin1')
    return treeOfCommit.exec(text)?.[1]
  } catch {
    return undefined /* cut short, or something else */
  }
}

function packed(packedRefs: string, ref: string): string | undefined {
  const line = packedRefs.split('\n').find((each) => each.endsWith(` ${ref}`))
  return line === undefined ? undefined : isObjectId.exec(line.slice(0, line.indexOf(' ')))?.[1]
}

function textOf(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? '' : Buffer.from(bytes).toString('latin1')
}
