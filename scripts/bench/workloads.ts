/**
 * The workloads of the benchmark: what a user of a session does all day. Layer: benchmark.
 *
 * Invariant: each checks that it got what it asked for, and that what it wrote is on the server.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  filesBelow,
  git,
  gitEnvironment,
  makeRepository,
  makeTree,
  needle,
  noise,
  type TreeShape,
} from './fixtures.ts'
import type { Limit, Step, Workload } from './workload.ts'

/* requests at once that our limits allow, and what a request with its answer weighs besides its content */
const readsAtOnce = 32
const writesAtOnce = 16
const overheadBytes = 700

const entriesAtOnce = 100
const entryBytes = 20 /* compressed */
const handshake = 1

/* the root and what is in it have to be listed before the directories below, which then go side by side */
const listing = ({ files, directories }: TreeShape): Limit => {
  const pagesOfEach = Math.ceil(files / directories / entriesAtOnce)
  const above = 1 + Math.ceil(directories / entriesAtOnce)
  return {
    roundTrips: handshake + above + Math.ceil(directories / readsAtOnce) * pagesOfEach,
    bytes: directories * pagesOfEach * overheadBytes + files * entryBytes,
  }
}
const reading = (shape: TreeShape): Limit => {
  const { roundTrips, bytes } = listing(shape)
  return {
    roundTrips: roundTrips + Math.ceil(shape.files / readsAtOnce),
    bytes: bytes + shape.files * (shape.bytes + overheadBytes),
  }
}
const writing = (files: number, bytes: number): Limit => ({
  roundTrips: handshake + Math.ceil(files / writesAtOnce),
  bytes: bytes + files * overheadBytes,
})

const linesStarting = (output: string, start: string): number =>
  output.split('\n').filter((line) => line.startsWith(start)).length
const linesWith = (output: string, word: string): number => output.split(word).length - 1

export function listTree(shape: TreeShape): Workload {
  const step = {
    script: 'ls -lR "$mount/tree"',
    isRight: (output: string) => linesStarting(output, '-') === shape.files,
  }
  return {
    name: 'ls',
    isReading: true,
    prepare: (files) => makeTree(join(files, 'tree'), shape),
    steps: [
      { ...step, name: `ls -lR of ${shape.files} files, cold`, cold: true, limit: listing(shape) },
      { ...step, name: `ls -lR of ${shape.files} files, warm`, cold: false },
    ],
  }
}

export function grepTree(shape: TreeShape): Workload {
  const step = {
    script: `grep -rh ${needle} "$mount/tree"`,
    isRight: (output: string) => linesWith(output, needle) === shape.files,
  }
  return {
    name: 'grep',
    isReading: true,
    prepare: (files) => makeTree(join(files, 'tree'), shape),
    steps: [
      { ...step, name: `grep -r of ${shape.files} files, cold`, cold: true, limit: reading(shape) },
      { ...step, name: `grep -r of ${shape.files} files, warm`, cold: false },
    ],
  }
}

/** `source` is made in `fixtures`. */
export function copyTree(fixtures: string, shape: TreeShape): Workload {
  const source = join(fixtures, `copy-${shape.files}`)
  makeTree(source, shape)
  return {
    name: 'cp',
    isReading: false,
    prepare: () => undefined,
    steps: [
      {
        name: `cp -r of ${shape.files} files`,
        cold: true,
        script: `cp -r '${source}' "$mount/copy"`,
        isDurable: hasAll('copy', filesBelow(source)),
        limit: writing(shape.files, shape.files * shape.bytes),
      },
    ],
  }
}

/** All workloads at their usual size; what they need is made in `fixtures`. */
export function allWorkloads(fixtures: string): Workload[] {
  const thousand = { files: 1000, directories: 50, bytes: 4096 }
  return [
    listTree(thousand),
    grepTree(thousand),
    copyTree(fixtures, { files: 200, directories: 10, bytes: 4096 }),
    bigFile(fixtures),
    extract(fixtures),
    repository(fixtures),
    remove(),
    save(fixtures),
  ]
}

function bigFile(fixtures: string): Workload {
  const bytes = 40_000_000
  const source = join(fixtures, 'big')
  writeFileSync(source, noise(bytes))
  const limit = { roundTrips: handshake + 1, bytes }
  return {
    name: 'big',
    isReading: true,
    prepare: () => undefined,
    steps: [
      {
        name: '40 MB written',
        cold: true,
        script: `cp '${source}' "$mount/big"`,
        isDurable: hasAll('', new Map([['big', bytes]])),
        limit,
      },
      {
        name: '40 MB read, cold',
        cold: true,
        script: `cmp '${source}' "$mount/big" && echo same`,
        isRight: (output) => output === 'same\n',
        limit,
      },
    ],
  }
}

function extract(fixtures: string): Workload {
  const shape = { files: 500, directories: 25, bytes: 4096 }
  const source = join(fixtures, 'extract')
  makeTree(source, shape)
  const archive = `${source}.tar`
  execFileSync('tar', ['-C', source, '-cf', archive, '.'])
  return {
    name: 'tar',
    isReading: false,
    prepare: () => undefined,
    steps: [
      {
        name: `tar x of ${shape.files} files`,
        cold: true,
        script: `mkdir "$mount/extract" && tar -C "$mount/extract" -xf '${archive}'`,
        isDurable: hasAll('extract', filesBelow(source)),
        limit: writing(shape.files, shape.files * shape.bytes),
      },
    ],
  }
}

function repository(fixtures: string): Workload {
  const shape = { files: 200, directories: 20, bytes: 4096 }
  const source = join(fixtures, 'repository')
  makeRepository(source, shape)
  const clone = (target: string): string => `${git} clone -q --no-hardlinks '${source}' ${target}`
  const reference = join(fixtures, 'reference')
  execFileSync('sh', ['-c', clone(`'${reference}'`)], { env: gitEnvironment })
  const all = filesBelow(reference)
  const bytes = [...all.values()].reduce((sum, size) => sum + size, 0)
  /* what git writes of its surroundings differs in length */
  const varying = (path: string): boolean => /^\.git\/(config|index|logs\/.*)$/.test(path)
  const expected = new Map([...all].map(([path, size]) => [path, varying(path) ? undefined : size]))
  const isCloned = hasAll('clone', expected)
  const hasLocks = (files: string): boolean =>
    [...filesBelow(files).keys()].some((path) => path.endsWith('.lock'))
  const status: Step = {
    name: 'git status, cold',
    cold: true,
    script: `${git} -C "$mount/clone" status --porcelain && echo clean`,
    isRight: (output) => output === 'clean\n',
    limit: reading({ ...shape, directories: shape.directories + 1 }),
  }
  return {
    name: 'git',
    isReading: true,
    prepare: () => undefined,
    steps: [
      {
        name: `git clone of ${shape.files} files`,
        cold: true,
        script: clone('"$mount/clone"'),
        isDurable: (files) => isCloned(files) && !hasLocks(files),
        limit: writing(all.size, bytes),
      },
      status,
    ],
  }
}

function remove(): Workload {
  const shape = { files: 500, directories: 25, bytes: 100 }
  const list = listing(shape)
  const requests = shape.files + shape.directories + 1
  return {
    name: 'rm',
    isReading: false,
    prepare: (files) => makeTree(join(files, 'tree'), shape),
    steps: [
      {
        name: `rm -r of ${shape.files} files`,
        cold: true,
        script: 'rm -r "$mount/tree"',
        isDurable: (files) => !existsSync(join(files, 'tree')) || filesBelow(join(files, 'tree')).size === 0,
        limit: {
          roundTrips: list.roundTrips + Math.ceil(requests / writesAtOnce),
          bytes: list.bytes + requests * overheadBytes,
        },
      },
    ],
  }
}

function save(fixtures: string): Workload {
  const [before, after] = [noise(10_000), noise(12_000)]
  const source = join(fixtures, 'after')
  writeFileSync(source, after)
  return {
    name: 'save',
    isReading: false,
    prepare: (files) => writeFileSync(join(files, 'notes.txt'), before),
    steps: [
      {
        name: 'save by temporary file and rename',
        cold: true,
        script: `cp '${source}' "$mount/.notes.txt.tmp" && mv "$mount/.notes.txt.tmp" "$mount/notes.txt"`,
        isDurable: (files) =>
          !existsSync(join(files, '.notes.txt.tmp')) && readFileSync(join(files, 'notes.txt')).equals(after),
        limit: writing(1, after.length),
      },
    ],
  }
}

/** Whether every one of these files is below `directory` of the server's disk, with its size where one is given. */
function hasAll(
  directory: string,
  expected: ReadonlyMap<string, number | undefined>,
): (files: string) => boolean {
  return (files) => {
    const root = join(files, directory)
    if (!existsSync(root)) return false
    const found = filesBelow(root)
    return [...expected].every(([path, size]) => {
      const actual = found.get(path)
      return actual !== undefined && (size === undefined || size === actual)
    })
  }
}
