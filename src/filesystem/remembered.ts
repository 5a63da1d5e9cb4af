/**
 * What a process before this one wrote down of the kernel's knowledge (`kernel-record.ts`), read back. Layer:
 * filesystem; pure.
 *
 * Invariant: lines count up to the last end of a reply; what follows belongs to a reply that never left, except appending
 * writes and changes of names, which may have been carried out. A line that cannot be read makes all of it unreadable.
 */
import * as v from 'valibot'
import type { LocalAttributes } from '../write-back/local-changes.ts'
import type { HandleId, NodeId, OpenFlags } from './front-end.ts'
import type { RemoteEntry } from '../client/session-files.ts'
import type { RecordLines } from './record-lines.ts'

/** Where the lines go, each with its newline. */
export interface KernelRecordSink {
  /** Adds to what is there; false: there is no room, all of it is to be written anew. Never throws. */
  append(lines: RecordLines): boolean
  /** In place of all that is there. Never throws. */
  replace(lines: RecordLines): void
}

export interface FileFacts {
  /** Of the spool: where its bytes are. */
  readonly generation?: number | undefined
  /** Bytes and Unix seconds of the entry that answers were given by. */
  readonly shown?: readonly [number, number] | undefined
  readonly own?: Readonly<Record<string, string | number>> | undefined
  readonly replaced?: boolean | undefined
  /** Without a name: where the service has the bytes that are still to be fetched. */
  readonly awaited?: { readonly path: string; readonly listed: RemoteEntry } | undefined
}

export interface HandleFacts {
  /** Keeps a working copy from being put away. */
  readonly retained?: boolean | undefined
  /** May have been given bytes of the service's content. */
  readonly begun?: boolean | undefined
  /** Goes on with a content that the service has not any more. */
  readonly older?: boolean | undefined
  /** What a special file needs to be opened as it was. */
  readonly opened?: string | undefined
}

/** Of `FileHandle.flags`, one letter each. */
export const flagLetters: Readonly<Record<keyof OpenFlags, string>> = {
  read: 'r',
  write: 'w',
  append: 'a',
  truncate: 't',
  exclusive: 'x',
}

export interface RememberedNode {
  readonly id: NodeId
  readonly inode: number
  readonly kind: 'file' | 'directory' | 'special'
  /** 0: it has lost its name. */
  readonly parent: NodeId
  readonly name: string
  lookups: number
  readonly facts: v.InferOutput<typeof fileFacts>
}

export interface RememberedHandle {
  readonly id: HandleId
  readonly node: NodeId
  readonly kind: 'file' | 'directory' | 'special'
  readonly flags: OpenFlags
  readonly facts: v.InferOutput<typeof handleFacts>
  /** Of a directory: the pass that was under way. */
  pass: { readonly names: readonly string[]; readonly kinds: string } | undefined
}

export interface RememberedAppend {
  readonly node: NodeId
  readonly offset: number
  readonly length: number
}

/** What was at a name has another one, or none, if this request was carried out. */
export interface RememberedMove {
  readonly request: number
  readonly from: readonly [directory: NodeId, name: string]
  readonly to: readonly [directory: NodeId, name: string] | undefined
}

export interface Remembered {
  readonly nodes: ReadonlyMap<NodeId, RememberedNode>
  readonly handles: ReadonlyMap<HandleId, RememberedHandle>
  readonly numbers: ReadonlyMap<string, number>
  /** By the request. */
  readonly appends: ReadonlyMap<number, RememberedAppend>
  /** The append that was being carried out when the process ended, if one was. */
  readonly lastAppend: RememberedAppend | undefined
  /** Changes of names that nothing was written down of since; in their order. */
  readonly moves: readonly RememberedMove[]
  /** The newest reply, which may not have left: if its request comes again, what it counted for is taken back. */
  readonly lastReply: {
    readonly request: number
    readonly nodes: readonly NodeId[]
    readonly handles: readonly HandleId[]
  }
  /** The highest numbers ever given out. */
  readonly lastNode: NodeId
  readonly lastHandle: HandleId
}

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const kind = v.picklist(['file', 'directory', 'special'])
const attributes = v.record(v.string(), v.union([v.string(), v.number()]))
const listed = v.object({
  name: v.string(),
  isDirectory: v.boolean(),
  size: count,
  modifiedSeconds: v.number(),
})
const fileFacts = v.object({
  generation: v.optional(count),
  shown: v.optional(v.tuple([count, v.number()])),
  own: v.optional(v.pipe(attributes, v.transform(readAttributes))),
  replaced: v.optional(v.boolean()),
  awaited: v.optional(v.object({ path: v.string(), listed })),
})
const handleFacts = v.object({
  retained: v.optional(v.boolean()),
  begun: v.optional(v.boolean()),
  older: v.optional(v.boolean()),
  opened: v.optional(v.string()),
})
const schemas = {
  n: v.tuple([v.literal('n'), count, count, kind, count, v.string(), count, v.optional(fileFacts, {})]),
  h: v.tuple([v.literal('h'), count, count, kind, v.string(), v.optional(handleFacts, {})]),
  s: v.tuple([v.literal('s'), count, v.array(v.string()), v.string()]),
  g: v.tuple([v.literal('g'), count]),
  c: v.tuple([v.literal('c'), count]),
  i: v.tuple([v.literal('i'), v.string(), v.nullable(count)]),
  a: v.tuple([v.literal('a'), count, count, count, count]),
  m: v.tuple([v.literal('m'), count, count, v.string(), count, v.string()]),
  '=': v.tuple([v.literal('='), count, v.array(count), v.array(count)]),
}

/** Reads the lines; throws where one is not what `KernelRecord` writes. */
export function readRemembered(text: string): Remembered {
  const reader = new Reader()
  let pending: unknown[][] = []
  /* the last one has no newline: it was being written */
  for (const each of text.split('\n').slice(0, -1)) {
    const parsed: unknown = JSON.parse(each)
    if (!Array.isArray(parsed)) throw new Error('not a line of the kernel record')
    pending.push(parsed)
    if (parsed[0] !== '=') continue
    for (const line of pending) if (line[0] !== 'm') reader.take(line)
    pending = []
  }
  /* these are written down without the end of a reply, before they are carried out */
  for (const line of pending) if (line[0] === 'a' || line[0] === 'm') reader.take(line)
  const last = pending.at(-1) ?? []
  return reader.result(last[0] === 'a')
}

class Reader {
  readonly #nodes = new Map<NodeId, RememberedNode>()
  readonly #handles = new Map<HandleId, RememberedHandle>()
  readonly #numbers = new Map<string, number>()
  readonly #appends = new Map<number, RememberedAppend>()
  readonly #moves: RememberedMove[] = []
  #lastReply: Remembered['lastReply'] = { request: 0, nodes: [], handles: [] }
  #lastAppend: RememberedAppend | undefined
  #lastNode: NodeId = 1
  #lastHandle: HandleId = 0

  take(line: readonly unknown[]): void {
    switch (line[0]) {
      case 'n': {
        const [, id, inode, kind, parent, name, lookups, facts] = v.parse(schemas.n, line)
        this.#nodes.set(id, { id, inode, kind, parent, name, lookups, facts })
        this.#lastNode = Math.max(this.#lastNode, id)
        break
      }
      case 'h': {
        const [, id, node, kind, letters, facts] = v.parse(schemas.h, line)
        const pass = this.#handles.get(id)?.pass
        this.#handles.set(id, { id, node, kind, flags: readFlags(letters), facts, pass })
        this.#lastHandle = Math.max(this.#lastHandle, id)
        break
      }
      case 's': {
        const [, id, names, kinds] = v.parse(schemas.s, line)
        const handle = this.#handles.get(id)
        if (handle !== undefined) handle.pass = { names, kinds }
        break
      }
      case 'g':
        this.#nodes.delete(v.parse(schemas.g, line)[1])
        break
      case 'c':
        this.#handles.delete(v.parse(schemas.c, line)[1])
        break
      case 'i': {
        const [, place, inode] = v.parse(schemas.i, line)
        if (inode === null) this.#numbers.delete(place)
        else this.#numbers.set(place, inode)
        break
      }
      case 'a': {
        const [, request, node, offset, length] = v.parse(schemas.a, line)
        this.#lastAppend = { node, offset, length }
        this.#appends.set(request, this.#lastAppend)
        break
      }
      case 'm': {
        const [, request, from, name, to, newName] = v.parse(schemas.m, line)
        this.#moves.push({ request, from: [from, name], to: to === 0 ? undefined : [to, newName] })
        break
      }
      default: {
        const [, request, nodes, handles] = v.parse(schemas['='], line)
        this.#lastReply = { request, nodes, handles }
      }
    }
  }

  result(endsInAppend: boolean): Remembered {
    return {
      nodes: this.#nodes,
      handles: this.#handles,
      numbers: this.#numbers,
      appends: this.#appends,
      moves: this.#moves,
      lastAppend: endsInAppend ? this.#lastAppend : undefined,
      lastReply: this.#lastReply,
      lastNode: this.#lastNode,
      lastHandle: this.#lastHandle,
    }
  }
}

function readFlags(letters: string): OpenFlags {
  const has = (flag: keyof OpenFlags): boolean => letters.includes(flagLetters[flag])
  return {
    read: has('read'),
    write: has('write'),
    append: has('append'),
    truncate: has('truncate'),
    exclusive: has('exclusive'),
  }
}

function readAttributes(written: Readonly<Record<string, string | number>>): LocalAttributes {
  return Object.fromEntries(
    Object.entries(written).map(([name, value]) => [name, name.endsWith('Ns') ? BigInt(value) : value]),
  )
}
