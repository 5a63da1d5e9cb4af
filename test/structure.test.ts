/**
 * What the layout promises: rooms stand on those below them, files stay small, native calls are made in one place.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import t from 'tap'

const source = join(import.meta.dirname, '..', 'src')

/**
 * The rooms, from the ground up, and what each may import besides itself and the loose files. `index.ts` alone,
 * the list for those outside, may import all; nothing imports it.
 */
const rooms: Readonly<Record<string, readonly string[]>> = {
  options: [],
  control: [],
  client: ['options'],
  logs: ['client'],
  emulator: ['client', 'options'],
  transfer: ['client', 'options'],
  cache: ['client'],
  prefetch: ['cache', 'client'],
  'write-back': ['cache', 'client'],
  filesystem: ['write-back', 'prefetch', 'cache', 'client'],
  fuse: ['filesystem'],
  session: ['write-back', 'prefetch', 'cache', 'client', 'control', 'options'],
  mount: ['session', 'fuse', 'filesystem', 'write-back', 'logs', 'client', 'control', 'options'],
  csi: ['mount', 'session', 'fuse', 'client', 'control', 'options'],
  cli: [
    'csi',
    'mount',
    'session',
    'fuse',
    'write-back',
    'transfer',
    'logs',
    'emulator',
    'client',
    'control',
    'options',
  ],
}
/** The rooms within the write-back, alike. */
const innerRooms: Readonly<Record<string, readonly string[]>> = {
  disk: [],
  state: ['disk'],
  queue: ['state', 'disk'],
  calls: ['queue', 'state', 'disk'],
}
/** Of the write-back's own files, those that the rooms within it stand on. */
const innerGround = ['write-back/local-changes.ts', 'write-back/record.ts']
const loose = ['clock.ts', 'index.ts', 'log.ts', 'remote-path.ts']

const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
)

interface Import {
  readonly from: string
  readonly to: string
}

/** What a file says it imports: a type, a value, at once or with `import()`. */
function importsOf(from: string): Import[] {
  const text = readFileSync(join(source, from), 'utf8')
  const found = text.matchAll(/(?:^(?:import|export)\s(?:[^'"]*?\sfrom\s+)?|\bimport\()'(\.[^']+)'/gm)
  return [...found].map((match) => ({ from, to: normalize(join(dirname(from), match[1] ?? '')) }))
}

const imports = files.flatMap(importsOf)

const roomOf = (file: string): string => (file.includes('/') ? (file.split('/')[0] ?? '') : '')
/** The room within the write-back; '' for what lies directly in it. */
const innerRoomOf = (file: string): string => {
  const parts = file.split('/')
  return parts[0] === 'write-back' && parts.length > 2 ? (parts[1] ?? '') : ''
}
const shown = (list: readonly Import[]): string[] => list.map(({ from, to }) => `${from} → ${to}`)

void t.test('every folder of the sources is a room with a place, and few files have none', (t) => {
  t.strictSame(
    [...new Set(files.map(roomOf))].filter((room) => room !== '').sort(),
    Object.keys(rooms).sort(),
  )
  t.strictSame(files.filter((file) => roomOf(file) === '').sort(), loose)
  t.strictSame(
    [...new Set(files.map(innerRoomOf))].filter((room) => room !== '').sort(),
    Object.keys(innerRooms).sort(),
  )
  t.end()
})

void t.test('no room imports one above it', (t) => {
  const known = Object.entries(rooms)
  const names = known.map(([name]) => name)
  for (const [name, below] of known) {
    const higher = below.filter((other) => names.indexOf(other) >= names.indexOf(name))
    t.strictSame(higher, [], `${name} stands on what stands below it`)
  }
  const upward = imports.filter(({ from, to }) => {
    if (from === 'index.ts') return false
    const room = roomOf(from)
    const target = roomOf(to)
    if (target === '') return to === 'index.ts'
    return target !== room && !(rooms[room] ?? []).includes(target)
  })
  t.strictSame(shown(upward), [])
  t.end()
})

void t.test('no room within the write-back imports one above it', (t) => {
  const upward = imports.filter(({ from, to }) => {
    const room = innerRoomOf(from)
    if (room === '' || roomOf(to) !== 'write-back') return false
    const target = innerRoomOf(to)
    if (target === '') return !innerGround.includes(to)
    return target !== room && !(innerRooms[room] ?? []).includes(target)
  })
  t.strictSame(shown(upward), [])
  t.strictSame(
    shown(imports.filter(({ from, to }) => innerGround.includes(from) && innerRoomOf(to) !== '')),
    [],
  )
  t.end()
})

void t.test('no file imports itself over others, types and import() included', (t) => {
  const edges = new Map<string, string[]>()
  for (const { from, to } of imports) edges.set(from, [...(edges.get(from) ?? []), to])
  const done = new Set<string>()
  const cycles: string[] = []
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file)
    if (start >= 0) cycles.push([...path.slice(start), file].join(' → '))
    if (start >= 0 || done.has(file)) return
    for (const next of edges.get(file) ?? []) visit(next, [...path, file])
    done.add(file)
  }
  for (const file of edges.keys()) visit(file, [])
  t.strictSame(cycles, [])
  t.end()
})

void t.test('native calls are made in one file', (t) => {
  const native = files.filter((file) => readFileSync(join(source, file), 'utf8').includes("from 'koffi'"))
  t.same(native, ['fuse/libc.ts'])
  t.end()
})

void t.test('every source file says what it is, and has 400 lines at most', (t) => {
  for (const file of files) {
    const text = readFileSync(join(source, file), 'utf8')
    t.match(text, /^(#!.*\n)?\/\*\*\n \* /, `${file} has a header`)
    t.ok(text.split('\n').length <= 401, `${file} is not too long`)
  }
  t.end()
})

void t.test(
  'the README fits on two pages, CONTRIBUTING on one, and what the documents link to exists',
  (t) => {
    const root = join(source, '..')
    t.ok(readFileSync(join(root, 'README.md'), 'utf8').split('\n').length <= 121)
    t.ok(readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8').split('\n').length <= 61)
    const documents = [
      'README.md',
      'CONTRIBUTING.md',
      'src/filesystem/semantics.md',
      'src/cli/troubleshooting.md',
      'scripts/bench/RESULTS.md',
      'scripts/container/README.md',
      'scripts/systemd/README.md',
    ]
    for (const document of documents) {
      const text = readFileSync(join(root, document), 'utf8')
      for (const [, target = ''] of text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
        const file = relative(root, join(root, dirname(document), target))
        t.doesNotThrow(() => readFileSync(join(root, file)), `${document} links to ${file}`)
      }
    }
    t.end()
  },
)
