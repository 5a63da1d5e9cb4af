/**
 * Whether what several callers were told of calls that overlapped can have been told by one tree to which the
 * calls were made one after the other. Layer: tests.
 *
 * Invariant: a call takes effect between its beginning and its answer, and one that was interrupted has none.
 * Directories are meant by who they are and not by where, as the kernel means them.
 */

export type Where = 'root' | 'p' | 'q'

export type Call =
  /** What it found is remembered by a number. */
  | { readonly do: 'lookup'; readonly in: Where; readonly name: string; readonly as: number }
  /** What a look-up found. */
  | { readonly do: 'open'; readonly found: number; readonly handle: number; readonly truncate: boolean }
  | {
      readonly do: 'create'
      readonly in: Where
      readonly name: string
      readonly handle: number
      readonly how: 'open' | 'truncate' | 'exclusive'
    }
  | { readonly do: 'close' | 'fsync' | 'fstat' | 'read'; readonly handle: number }
  | { readonly do: 'write'; readonly handle: number; readonly at: number | 'end'; readonly text: string }
  | { readonly do: 'resize'; readonly handle: number; readonly size: number }
  | { readonly do: 'unlink' | 'mkdir' | 'rmdir'; readonly in: Where; readonly name: string }
  | {
      readonly do: 'rename'
      readonly in: Where
      readonly name: string
      readonly to: Where
      readonly toName: string
      readonly noReplace: boolean
    }
  | { readonly do: 'list'; readonly in: Where }
  /** All there is, as one text. */
  | { readonly do: 'tree' }

export interface Event {
  readonly call: Call
  /** Who made it. */
  readonly by: number
  readonly begun: number
  readonly ended: number
  /** An errno by name, or what was told. */
  readonly outcome: string
  /** The node that was told, or that was opened. */
  readonly node?: number | undefined
}

type FileId = number
interface FileObject {
  readonly kind: 'file'
  readonly text: string
}
interface DirectoryObject {
  readonly kind: 'directory'
  readonly names: ReadonlyMap<string, FileId>
}
type Item = FileObject | DirectoryObject

export interface State {
  readonly items: ReadonlyMap<number, Item>
  readonly places: Readonly<Record<Where, number>>
  /** The file of a handle, by its number. */
  readonly handles: ReadonlyMap<number, number>
  /** Who a node is. */
  readonly nodes: ReadonlyMap<number, number>
}

const rootItem = 0

/** `tree`: by path; a file has a text, a directory null. `p` and `q` are places if they are directories in it. */
export function stateOf(tree: Readonly<Record<string, string | null>>): State {
  const items = new Map<number, Item>([[rootItem, { kind: 'directory', names: new Map() }]])
  const at = new Map<string, number>([['', rootItem]])
  for (const [path, text] of Object.entries(tree)) {
    const id = -items.size
    items.set(id, text === null ? { kind: 'directory', names: new Map() } : { kind: 'file', text })
    at.set(path, id)
    const cut = Math.max(0, path.lastIndexOf('/'))
    const above = items.get(at.get(path.slice(0, cut)) ?? rootItem)
    if (above?.kind === 'directory')
      (above.names as Map<string, number>).set(path.slice(cut).replace('/', ''), id)
  }
  const places = { root: rootItem, p: at.get('p') ?? rootItem, q: at.get('q') ?? rootItem }
  return { items, places, handles: new Map(), nodes: new Map() }
}

/** What comes of a call; undefined: this answer cannot be. `id` is for what it makes. */
function step(state: State, event: Event, id: number): State | undefined {
  const { call, outcome, node } = event
  if (outcome === 'EINTR') return state
  switch (call.do) {
    case 'lookup': {
      const names = namesIn(state, call.in)
      const item = names?.get(call.name)
      if (item === undefined) return outcome === 'ENOENT' ? state : undefined
      return outcome === shown(state, item) ? identified(state, node, item) : undefined
    }
    case 'open': {
      const item = node === undefined ? undefined : state.nodes.get(node)
      const file = item === undefined ? undefined : state.items.get(item)
      if (item === undefined || file === undefined) return undefined
      if (file.kind === 'directory') return outcome === 'EISDIR' ? state : undefined
      /* a file without a name may be opened, or be looked for again */
      if (outcome === 'ESTALE' && !isNamed(state, item)) return state
      if (outcome !== 'ok') return undefined
      return opened(call.truncate ? rewritten(state, item, '') : state, call.handle, item)
    }
    case 'create': {
      const names = namesIn(state, call.in)
      if (names === undefined) return outcome === 'ENOENT' ? state : undefined
      const there = names.get(call.name)
      if (there === undefined) {
        if (outcome !== 'ok') return undefined
        const made = put(withItem(state, id, { kind: 'file', text: '' }), call.in, call.name, id)
        return identified(opened(made, call.handle, id), node, id)
      }
      if (call.how === 'exclusive') return outcome === 'EEXIST' ? state : undefined
      if (state.items.get(there)?.kind === 'directory') return outcome === 'EISDIR' ? state : undefined
      if (outcome !== 'ok') return undefined
      const now = call.how === 'truncate' ? rewritten(state, there, '') : state
      return identified(opened(now, call.handle, there), node, there)
    }
    case 'close':
    case 'fsync':
      return outcome === 'ok' ? state : undefined
    case 'read':
      return outcome === textOf(state, call.handle) ? state : undefined
    case 'fstat':
      return outcome === `file ${textOf(state, call.handle)?.length ?? -1}` ? state : undefined
    case 'write': {
      const text = textOf(state, call.handle)
      const item = state.handles.get(call.handle)
      if (text === undefined || item === undefined || outcome !== 'ok') return undefined
      const at = call.at === 'end' ? text.length : call.at
      return rewritten(
        state,
        item,
        text.slice(0, at).padEnd(at, '.') + call.text + text.slice(at + call.text.length),
      )
    }
    case 'resize': {
      const text = textOf(state, call.handle)
      const item = state.handles.get(call.handle)
      if (text === undefined || item === undefined || outcome !== 'ok') return undefined
      return rewritten(state, item, text.slice(0, call.size).padEnd(call.size, '.'))
    }
    case 'unlink': {
      const expected = removable(state, call.in, call.name, 'file')
      return expected !== outcome
        ? undefined
        : outcome === 'ok'
          ? put(state, call.in, call.name, undefined)
          : state
    }
    case 'rmdir': {
      const expected = removable(state, call.in, call.name, 'directory')
      return expected !== outcome
        ? undefined
        : outcome === 'ok'
          ? put(state, call.in, call.name, undefined)
          : state
    }
    case 'mkdir': {
      const names = namesIn(state, call.in)
      const expected = names === undefined ? 'ENOENT' : names.has(call.name) ? 'EEXIST' : 'ok'
      if (expected !== outcome) return undefined
      if (outcome !== 'ok') return state
      const made = withItem(state, id, { kind: 'directory', names: new Map() })
      return identified(put(made, call.in, call.name, id), node, id)
    }
    case 'rename':
      return renamed(state, call, outcome)
    case 'list': {
      const names = namesIn(state, call.in)
      /* of a removed directory: nothing, or that it is gone */
      if (names === undefined) return outcome === 'ENOENT' || outcome === 'names' ? state : undefined
      const all = [...names].map(
        ([name, item]) => `${name}${state.items.get(item)?.kind === 'file' ? '' : '/'}`,
      )
      return outcome === ['names', ...all.sort()].join(' ') ? state : undefined
    }
    case 'tree':
      return outcome === showTree(state) ? state : undefined
  }
}

function renamed(state: State, call: Extract<Call, { do: 'rename' }>, outcome: string): State | undefined {
  const from = namesIn(state, call.in)
  const to = namesIn(state, call.to)
  const source = from?.get(call.name)
  const target = to?.get(call.toName)
  const expected = ((): readonly string[] => {
    if (from === undefined || to === undefined || source === undefined) return ['ENOENT']
    const item = state.items.get(source)
    const over = target === undefined ? undefined : state.items.get(target)
    if (item?.kind === 'directory' && isWithin(state, state.places[call.to], source)) {
      const also = call.noReplace && over !== undefined ? ['EEXIST'] : []
      return ['EINVAL', ...also, ...(over?.kind === 'file' ? ['ENOTDIR'] : [])]
    }
    if (call.noReplace && over !== undefined) return ['EEXIST']
    if (source === target) return ['ok']
    if (over?.kind === 'directory') {
      if (item?.kind === 'file') return ['EISDIR', 'ENOTEMPTY']
      if (over.names.size > 0) return ['ENOTEMPTY']
    }
    if (over?.kind === 'file' && item?.kind === 'directory') return ['ENOTDIR']
    return ['ok']
  })()
  /* it took too long to find out what is below */
  const isTooMuch =
    outcome === 'EXDEV' && source !== undefined && state.items.get(source)?.kind === 'directory'
  if (!isTooMuch && !expected.includes(outcome)) return undefined
  if (outcome !== 'ok' || source === undefined || source === target) return state
  return put(put(state, call.in, call.name, undefined), call.to, call.toName, source)
}

function removable(state: State, where: Where, name: string, kind: Item['kind']): string {
  const item = namesIn(state, where)?.get(name)
  const found = item === undefined ? undefined : state.items.get(item)
  if (found === undefined) return 'ENOENT'
  if (found.kind !== kind) return kind === 'file' ? 'EISDIR' : 'ENOTDIR'
  return found.kind === 'directory' && found.names.size > 0 ? 'ENOTEMPTY' : 'ok'
}

/** undefined: the directory was removed. */
function namesIn(state: State, where: Where): ReadonlyMap<string, number> | undefined {
  const id = state.places[where]
  const item = state.items.get(id)
  if (item?.kind !== 'directory' || !isNamed(state, id)) return undefined
  return item.names
}

function isNamed(state: State, id: number): boolean {
  return isWithin(state, id, rootItem)
}

function isWithin(state: State, id: number, above: number): boolean {
  if (id === above) return true
  for (const [parent, item] of state.items)
    if (item.kind === 'directory')
      for (const child of item.names.values()) if (child === id) return isWithin(state, parent, above)
  return false
}

function shown(state: State, id: number): string {
  const item = state.items.get(id)
  return item?.kind === 'file' ? `file ${item.text.length}` : 'directory'
}

function textOf(state: State, handle: number): string | undefined {
  const item = state.items.get(state.handles.get(handle) ?? -1e9)
  return item?.kind === 'file' ? item.text : undefined
}

function withItem(state: State, id: number, item: Item): State {
  return { ...state, items: new Map(state.items).set(id, item) }
}

function rewritten(state: State, id: number, text: string): State {
  return withItem(state, id, { kind: 'file', text })
}

function put(state: State, where: Where, name: string, id: number | undefined): State {
  const directory = state.items.get(state.places[where])
  if (directory?.kind !== 'directory') return state
  const names = new Map(directory.names)
  if (id === undefined) names.delete(name)
  else names.set(name, id)
  return withItem(state, state.places[where], { kind: 'directory', names })
}

function opened(state: State, handle: number, id: number): State {
  return { ...state, handles: new Map(state.handles).set(handle, id) }
}

/** One node is one file or directory, and the other way round. */
function identified(state: State, node: number | undefined, id: number): State | undefined {
  if (node === undefined) return state
  const known = state.nodes.get(node)
  if (known !== undefined) return known === id ? state : undefined
  for (const other of state.nodes.values()) if (other === id) return undefined
  return { ...state, nodes: new Map(state.nodes).set(node, id) }
}

export function showTree(state: State): string {
  const lines: string[] = []
  const into = (id: number, above: string): void => {
    const item = state.items.get(id)
    if (item?.kind !== 'directory') return
    for (const [name, child] of item.names) {
      const found = state.items.get(child)
      lines.push(found?.kind === 'file' ? `${above}${name} ${found.text}` : `${above}${name}/`)
      into(child, `${above}${name}/`)
    }
  }
  into(rootItem, '')
  return lines.sort().join('\n')
}

const mostStates = 300_000

/** undefined: there is such an order. Else the events of the longest beginning of one, and what cannot follow. */
export function explain(begin: State, events: readonly Event[]): string | undefined {
  const seen = new Set<string>()
  let longest: readonly number[] = []
  let states = 0
  const search = (state: State, done: ReadonlySet<number>, order: readonly number[]): boolean => {
    if (done.size === events.length) return true
    if (order.length > longest.length) longest = order
    const key = `${[...done].sort((a, b) => a - b).join()} ${keyOf(state)}`
    if (seen.has(key)) return false
    seen.add(key)
    if (++states > mostStates) return true
    let firstEnd = Infinity
    for (const [at, event] of events.entries()) if (!done.has(at)) firstEnd = Math.min(firstEnd, event.ended)
    for (const [at, event] of events.entries()) {
      if (done.has(at) || event.begun > firstEnd) continue
      const next = step(state, event, at + 1)
      if (next !== undefined && search(next, new Set([...done, at]), [...order, at])) return true
    }
    return false
  }
  if (search(begin, new Set(), [])) return undefined
  const rest = events.filter((_, at) => !longest.includes(at))
  const told = longest.flatMap((at) => events[at] ?? [])
  return `${told.map(show).join('\n')}\n-- and then none of:\n${rest.map(show).join('\n')}`
}

export function show({ call, by, begun, ended, outcome, node }: Event): string {
  const words = Object.entries(call).map(([key, value]) =>
    key === 'do' ? String(value) : `${key}=${String(value)}`,
  )
  return `#${by} ${begun}-${ended} ${words.join(' ')} -> ${outcome}${node === undefined ? '' : ` (node ${node})`}`
}

function keyOf({ items, handles, nodes }: State): string {
  const all = [...items].map(([id, item]) => [id, item.kind === 'file' ? item.text : [...item.names].sort()])
  return JSON.stringify([all.sort(), [...handles].sort(), [...nodes].sort()])
}
