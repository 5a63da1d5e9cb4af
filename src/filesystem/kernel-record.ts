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
import { type FileFacts, flagLetters, type HandleFacts, type KernelRecordSink } from './remembered.ts'

/** All that there is to be written down. */
export interface Known {
  readonly nodes: () => Iterable<Node>
  readonly handles: () => Iterable<Handle>
  readonly numbers: () => Iterable<readonly [place: string, inode: number]>
  readonly pathOf: (node: Node) => string | undefined
}

type Place = readonly [directory: DirectoryNode, name: string]

/** Appending writes that may not be answered yet; more than are ever under way at once. */
const keptAppends = 64

export class KernelRecord {
  readonly #sink: KernelRecordSink
  readonly #nodes = new Set<Node>()
  readonly #handles = new Set<Handle>()
  readonly #generations = new WeakMap<FileNode, number>()
  #lines = ''
  #lookedUp: NodeId[] = []
  #opened: HandleId[] = []
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
    this.#lines += `["g",${node.id}]\n`
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
    this.#lines += `["c",${handle.id}]\n`
  }

  number(place: string, inode: number | undefined): void {
    this.#lines += `${JSON.stringify(['i', place, inode ?? null])}\n`
  }

  /** A write to the end of a file is about to be carried out: written down at once. */
  appending(request: number, node: NodeId, offset: number, length: number): void {
    const line = `["a",${request},${node},${offset},${length}]\n`
    this.#appends.push(line)
    if (this.#appends.length > keptAppends) this.#appends.shift()
    this.#lines += line
    if (!this.#write()) {
      this.renew()
      this.#sink.append(line)
    }
    this.#endsInAppend = true
  }

  /** A name is about to be taken from what has it, and given another one: written down at once. */
  moving(request: number, [from, name]: Place, to?: Place): void {
    const line = `${JSON.stringify(['m', request, from.id, name, to?.[0].id ?? 0, to?.[1] ?? ''])}\n`
    this.#lines += line
    if (this.#write()) return
    this.renew()
    this.#sink.append(line)
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
    this.#lines += '["=",0,[],[]]\n'
    if (!this.#write()) this.renew()
  }

  /** Before the reply to a request leaves. */
  replying(request: number): void {
    if (this.#isEmpty) return
    this.#take()
    const end = this.#endOf(request)
    if (!this.#sink.append(this.#lines + end)) this.#renew(end)
    this.#lines = ''
    this.#endsInAppend = false
  }

  /** Writes all of it anew. */
  renew(): void {
    this.#renew('["=",0,[],[]]\n')
  }

  #renew(end: string): void {
    const known = this.#known
    if (known === undefined) return
    this.#lines = this.#appends.join('')
    this.#nodes.clear()
    this.#handles.clear()
    for (const [place, inode] of known.numbers()) this.number(place, inode)
    for (const node of known.nodes()) if (node.id !== rootNode) this.#nodes.add(node)
    for (const handle of known.handles()) if (!isOurs(handle)) this.#handles.add(handle)
    this.#take()
    const lines = this.#lines + end
    this.#lines = ''
    this.#endsInAppend = false
    this.#sink.replace(lines)
  }

  get #isEmpty(): boolean {
    return this.#lines === '' && this.#nodes.size === 0 && this.#handles.size === 0
  }

  #take(): void {
    for (const node of this.#nodes) if (node.id !== rootNode) this.#lines += this.#nodeLine(node)
    for (const handle of this.#handles) this.#lines += handleLines(handle)
    this.#nodes.clear()
    this.#handles.clear()
  }

  #endOf(request: number): string {
    const { length } = this.#lookedUp
    if (this.#opened.length === 0 && length < 2) {
      /* most of them: nothing, or one look-up */
      const one = length === 0 ? '' : this.#lookedUp.pop()
      return `["=",${request},[${one}],[]]\n`
    }
    const end = `["=",${request},[${this.#lookedUp.join()}],[${this.#opened.join()}]]\n`
    this.#lookedUp = []
    this.#opened = []
    return end
  }

  /** False: it has to be written anew. */
  #write(): boolean {
    const lines = this.#lines
    this.#lines = ''
    this.#endsInAppend = false
    return this.#sink.append(lines)
  }

  #nodeLine(node: Node): string {
    const { id, inode, kind, parent, name, lookups } = node
    const facts = node.kind === 'file' ? this.#factsOf(node) : undefined
    const start = `["n",${id},${inode},"${kind}",${parent?.id ?? 0},${JSON.stringify(name)},${lookups}`
    return facts === undefined ? `${start}]\n` : `${start},${JSON.stringify(facts)}]\n`
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

function isEmpty(attributes: LocalAttributes): boolean {
  for (const _name in attributes) return false
  return true
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
      const { retained, begun, older, node } = handle
      /* one that could not be proven was fetched again, which may well have brought the same bytes */
      const isOther = older !== undefined && !(node.shown && isSameIdentity(older.listed, node.shown))
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
