/**
 * What the layout promises: layers go one way, files stay small, native calls are made in one place.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import t from 'tap'

const source = join(import.meta.dirname, '..', 'src')

/** What each layer may import besides itself; the composition (the files in `src/` themselves) may import all. */
const below: Readonly<Record<string, readonly string[]>> = {
  client: [],
  cache: ['client'],
  'write-back': ['cache', 'client'],
  filesystem: ['write-back', 'cache', 'client'],
  fuse: ['filesystem'],
  logs: ['client'],
  emulator: ['client'],
  control: [],
  cli: ['fuse', 'filesystem', 'write-back', 'cache', 'client', 'logs', 'emulator', 'control'],
}
/** Files in `src/` that every layer may use. */
const ground: ReadonlySet<string> = new Set(['clock.ts', 'log.ts'])
/** Files in `src/` that stand beside the composition root and bring no layer with them. */
const beside: ReadonlySet<string> = new Set([
  'mount-error.ts',
  'mounted-session.ts',
  'option-values.ts',
  'options.ts',
  'session-directories.ts',
  'session-recovery.ts',
])

const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
)

interface Import {
  readonly from: string
  readonly to: string
  readonly isType: boolean
}

const imports: Import[] = files.flatMap((from) => {
  const text = readFileSync(join(source, from), 'utf8')
  return [...text.matchAll(/^(?:import|export)\s+(type\s)?[^'"]*?\sfrom\s+'(\.[^']+)'/gm)].map((match) => ({
    from,
    to: normalize(join(dirname(from), match[2] ?? '')),
    isType: match[1] !== undefined,
  }))
})

const layerOf = (file: string): string => (file.includes('/') ? (file.split('/')[0] ?? '') : '')

void t.test('every folder of the sources is a layer with a place', (t) => {
  t.same([...new Set(files.map(layerOf))].filter((layer) => layer !== '').sort(), Object.keys(below).sort())
  t.end()
})

void t.test('no layer imports one above it', (t) => {
  const upward = imports.filter(({ from, to }) => {
    const layer = layerOf(from)
    const target = layerOf(to)
    if (layer === '' || layer === target) return false
    if (target === '') return !ground.has(to) && !((layer === 'cli' || layer === 'control') && beside.has(to))
    return !(below[layer] ?? []).includes(target)
  })
  t.same(
    upward.map(({ from, to }) => `${from} → ${to}`),
    [],
  )
  t.end()
})

void t.test('no file imports itself over others, types apart', (t) => {
  const edges = new Map<string, string[]>()
  for (const { from, to, isType } of imports) if (!isType) edges.set(from, [...(edges.get(from) ?? []), to])
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
  t.same(cycles, [])
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

void t.test('the README fits on two pages, and what the documents link to exists', (t) => {
  const root = join(source, '..')
  t.ok(readFileSync(join(root, 'README.md'), 'utf8').split('\n').length <= 121)
  const documents = [
    'README.md',
    'src/filesystem/semantics.md',
    'src/cli/troubleshooting.md',
    'scripts/bench/RESULTS.md',
  ]
  for (const document of documents) {
    const text = readFileSync(join(root, document), 'utf8')
    for (const [, target = ''] of text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
      const file = relative(root, join(root, dirname(document), target))
      t.doesNotThrow(() => readFileSync(join(root, file)), `${document} links to ${file}`)
    }
  }
  t.end()
})
