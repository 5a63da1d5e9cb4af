/**
 * What the kernel knows of this filesystem, written down for whoever goes on with it when this process has ended:
 * nodes, open handles, inode numbers. Layer: filesystem; `remembered.ts` reads it back.
 *
 * A line of JSON each, the last of a kind counts:
 *
 *     ["n", node, inode, kind, parent, name, look-ups, facts?]   parent 0: it has lost its name
 *     ["h", handle, node, kind, flags, facts?]                   ["c", handle] closed
 *     ["s", handle, names, kinds]                                what a pass through a directory goes by
 *     ["g", node]                                                not alive any more
 *     ["i", place, inode | null]                                 a number that is not the hash of its place
 *     ["a", request, node, offset, length]                       an appending write, and where it goes
 *     ["m", request, parent, name, parent, name]                 another name, or none (0, ""), for what has the first,
 *                                                                if the journal says that it was carried out
 *     ["=", request, nodes, handles]                             the end of a reply, and what it counts for
 *
 * Invariant: all that a reply names is with the sink before the reply leaves; nothing is written for one that names
 * nothing new. Lines after the last "=" belong to no reply, and do not count, but for "a" and "m".
 */
import type { LocalAttributes } from '../write-back/local-changes.ts'
import { isSameIdentity } from './identity.ts'
import type { HandleId, NodeId, OpenFlags } from './front-end.ts'
import type { DirectoryNode, FileNode, Handle, Node } from './node.ts'
import { RecordLines } from './record-lines.ts'
import { type FileFacts, flagLetters, type HandleFacts, type KernelRecordSink } from './remembered.ts'

/** All that there is to be written down. */
export interface Known {
  readonly nodes: () => Iterable<Node>
  readonly handles: () => Iterable<Handle>
  readonly numbers: () => Iterable<readonly [place: string, inode: number]>
  readonly pathOf: (node: Node) => string | undefined
}

type Place = readonly [directory: DirectoryNode, name: string]

/** Nodes that one reply names; room for more is not kept. */
const keptRoom = 1024
/** Appending writes that may not be answered yet; more than are ever under way at once. */
const keptAppends = 64

export class KernelRecord {
  readonly #sink: KernelRecordSink
  readonly #nodes = new NotedNodes()
  readonly #handles = new Set<Handle>()
  readonly #generations = new WeakMap<FileNode, number>()
  readonly #lines = new RecordLines()
  readonly #lookedUp: NodeId[] = []
  readonly #opened: HandleId[] = []
  #appends: string[] = []
  #endsInAppend = false
  #known: Known | undefined

  constructor(sink: KernelRecordSink) {
    this.#sink = sink
  }

  /** To be called once, before anything else. */
  over(known: Known): void {
    this.#known = known
  }

  changed(node: Node): void {
    this.#nodes.add(node)
  }

  /** Its bytes may be in another place of the spool. */
  written(node: FileNode): void {
    const { state } = node
    if (state.kind === 'working' && state.copy.generation !== this.#generations.get(node)) this.changed(node)
  }

  /** An answer counts as a look-up of the node. */
  lookedUp(node: Node): void {
    this.#nodes.add(node)
    this.#lookedUp.push(node.id)
  }

  gone(node: Node): void {
    this.#nodes.delete(node)
    this.#lines.ascii('["g",').number(node.id).ascii(']\n')
  }

  opened(handle: Handle): void {
    this.changedHandle(handle)
    if (isOurs(handle)) return
    this.#opened.push(handle.id)
  }

  changedHandle(handle: Handle): void {
    if (!isOurs(handle)) this.#handles.add(handle)
    this.#nodes.add(handle.node)
  }

  closed(handle: Handle): void {
    if (isOurs(handle)) return
    this.#handles.delete(handle)
    this.#lines.ascii('["c",').number(handle.id).ascii(']\n')
  }

  number(place: string, inode: number | undefined): void {
    this.#lines.text(`${JSON.stringify(['i', place, inode ?? null])}\n`)
  }

  /** A write to the end of a file is about to be carried out: written down at once. */
  appending(request: number, node: NodeId, offset: number, length: number): void {
    const line = `["a",${request},${node},${offset},${length}]\n`
    this.#appends.push(line)
    if (this.#appends.length > keptAppends) this.#appends.shift()
    this.#now(line)
    this.#endsInAppend = true
  }

  /** A name is about to be taken from what has it, and given another one: written down at once. */
  moving(request: number, [from, name]: Place, to?: Place): void {
    this.#now(`${JSON.stringify(['m', request, from.id, name, to?.[0].id ?? 0, to?.[1] ?? ''])}\n`)
  }

  /** Before a file is cut: the last line may not be an append to it any more, by which it would be looked at. */
  cutting(node: Node): void {
    this.#nodes.add(node)
    if (this.#endsInAppend) this.keepNow()
  }

  /** Before something that is lost with this process is taken away: what is known until now is written down at once. */
  keepNow(): void {
    if (this.#isEmpty) return
    this.#take()
    this.#end(0, [], [])
    if (!this.#write()) this.renew()
  }

  /** Before the reply to a request leaves. */
  replying(request: number): void {
    if (this.#isEmpty) return
    this.#take()
    this.#end(request, this.#lookedUp, this.#opened)
    if (!this.#write()) this.#renew(request, this.#lookedUp, this.#opened)
    this.#lookedUp.length = 0
    this.#opened.length = 0
  }

  /** Writes all of it anew. */
  renew(): void {
    this.#renew(0, [], [])
  }

  #renew(request: number, lookedUp: readonly NodeId[], opened: readonly HandleId[]): void {
    const known = this.#known
    if (known === undefined) return
    this.#lines.clear()
    this.#lines.text(this.#appends.join(''))
    this.#nodes.take(() => undefined)
    this.#handles.clear()
    for (const [place, inode] of known.numbers()) this.number(place, inode)
    for (const node of known.nodes()) this.#nodes.add(node)
    for (const handle of known.handles()) if (!isOurs(handle)) this.#handles.add(handle)
    this.#take()
    this.#end(request, lookedUp, opened)
    this.#sink.replace(this.#lines)
    this.#lines.clear()
    this.#endsInAppend = false
  }

  get #isEmpty(): boolean {
    return this.#lines.length === 0 && this.#nodes.length === 0 && this.#handles.size === 0
  }

  #take(): void {
    this.#nodes.take((node) => this.#nodeLine(node))
    if (this.#handles.size === 0) return
    for (const handle of this.#handles) this.#lines.text(handleLines(handle))
    this.#handles.clear()
  }

  #end(request: number, lookedUp: readonly NodeId[], opened: readonly HandleId[]): void {
    this.#lines.ascii('["=",').number(request)
    this.#lines.ascii(',').numbers(lookedUp).ascii(',').numbers(opened).ascii(']\n')
  }

  /** What is said now belongs to no reply. */
  #now(line: string): void {
    this.#lines.text(line)
    if (this.#write()) return
    this.renew()
    this.#lines.text(line)
    this.#write()
  }

  /** False: it has to be written anew. */
  #write(): boolean {
    const isWritten = this.#sink.append(this.#lines)
    this.#lines.clear()
    this.#endsInAppend = false
    return isWritten
  }

  #nodeLine(node: Node): void {
    const { id, inode, kind, parent, name, lookups } = node
    const facts = node.kind === 'file' ? this.#factsOf(node) : undefined
    const lines = this.#lines.ascii('["n",').number(id).ascii(',').number(inode)
    lines.ascii(kinds[kind]).number(parent?.id ?? 0)
    lines.ascii(',').string(name).ascii(',').number(lookups)
    if (facts !== undefined) lines.ascii(',').text(JSON.stringify(facts))
    lines.ascii(']\n')
  }

  /** What is only known here, of a file that is open, or that has no name any more. */
  #factsOf(node: FileNode): FileFacts | undefined {
    const { state, own, handles, shown, replaced, awaited } = node
    /* most are looked up, and nothing else */
    if (handles.size === 0 && state.kind === 'clean' && !replaced && awaited === undefined && isEmpty(own))
      return undefined
    const isNamed = this.#known?.pathOf(node) !== undefined
    const isKept = handles.size > 0 || !isNamed
    if (state.kind === 'working') this.#generations.set(node, state.copy.generation)
    const facts: FileFacts = {
      ...(state.kind === 'working' && isKept ? { generation: state.copy.generation } : {}),
      ...(shown !== undefined && handles.size > 0 ? { shown: [shown.size, shown.modifiedSeconds] } : {}),
      ...(isEmpty(own) ? {} : { own: writeAttributes(own) }),
      ...(replaced ? { replaced } : {}),
      ...(awaited === undefined ? {} : { awaited }),
    }
    return Object.keys(facts).length === 0 ? undefined : facts
  }
}

const rootNode: NodeId = 1
const kinds = { file: ',"file",', directory: ',"directory",', special: ',"special",' } as const

function isEmpty(attributes: LocalAttributes): boolean {
  for (const _name in attributes) return false
  return true
}

/** Each node once. A set would make a new table for every reply. */
class NotedNodes {
  readonly #nodes: Node[] = []
  #length = 0

  get length(): number {
    return this.#length
  }

  add(node: Node): void {
    if (node.isNoted || node.id === rootNode) return
    node.isNoted = true
    this.#nodes[this.#length++] = node
  }

  delete(node: Node): void {
    node.isNoted = false
  }

  /** All of them, which are none any more. */
  take(visit: (node: Node) => void): void {
    for (let at = 0; at < this.#length; at++) {
      const node = this.#nodes[at]
      if (node?.isNoted !== true) continue
      node.isNoted = false
      visit(node)
    }
    this.#length = 0
    if (this.#nodes.length > keptRoom) this.#nodes.length = 0
  }
}

/** Nobody would close it after this process. */
const isOurs = (handle: Handle): boolean => handle.kind === 'file' && handle.isOurs

function handleLines(handle: Handle): string {
  const start = `["h",${handle.id},${handle.node.id},"${handle.kind}"`
  switch (handle.kind) {
    case 'file': {
      const flags = Object.entries(flagLetters)
        .filter(([flag]) => handle.flags[flag as keyof OpenFlags])
        .map(([, letter]) => letter)
      const { retained, begun, older, lost, node } = handle
      /* one that could not be proven was fetched again, which may well have brought the same bytes */
      const isOther =
        lost || (older !== undefined && !(node.shown && isSameIdentity(older.listed, node.shown)))
      const facts: HandleFacts = {
        ...(retained === undefined ? {} : { retained: true }),
        ...(begun ? { begun } : {}),
        ...(isOther ? { older: true } : {}),
      }
      return `${start},"${flags.join('')}",${JSON.stringify(facts)}]\n`
    }
    case 'special': {
      const facts: HandleFacts = { opened: handle.opened.remembered }
      return `${start},"r",${JSON.stringify(facts)}]\n`
    }
    case 'directory': {
      const { snapshot } = handle
      const line = `${start},"r"]\n`
      if (snapshot === undefined) return line
      return `${line}${JSON.stringify(['s', handle.id, snapshot.names, snapshot.kinds])}\n`
    }
  }
}

function writeAttributes(attributes: LocalAttributes): Record<string, string | number> {
  const written = Object.entries(attributes as Record<string, number | bigint | undefined>).flatMap(
    ([name, value]) => {
      if (value === undefined) return []
      return [[name, typeof value === 'bigint' ? value.toString() : value] as const]
    },
  )
  return Object.fromEntries(written)
}
