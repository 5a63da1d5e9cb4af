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
import { gitStatus, listing, reading, removing, transferring, writing } from './limits.ts'
import { site } from './site-workload.ts'
import { hasAll, type Step, type Workload } from './workload.ts'

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
      { ...step, name: `ls -lR of ${shape.files} files, cold`, cold: true, need: listing(shape) },
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
      { ...step, name: `grep -r of ${shape.files} files, cold`, cold: true, need: reading(shape) },
      { ...step, name: `grep -r of ${shape.files} files, warm`, cold: false },
      {
        ...step,
        name: `grep -r of ${shape.files} files, after 5 s`,
        cold: false,
        pauseMs: 5000,
      },
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
        need: writing(shape.files * shape.bytes),
      },
    ],
  }
}

/** In the order of the tables; `--only` takes these. */
export const workloadNames = [
  'ls',
  'grep',
  'cp',
  'big',
  'tar',
  'git',
  'commit',
  'rm',
  'save',
  'site',
] as const
export type WorkloadName = (typeof workloadNames)[number]

const thousand = { files: 1000, directories: 50, bytes: 4096 }

const makers: Readonly<Record<WorkloadName, (fixtures: string) => Workload>> = {
  ls: () => listTree(thousand),
  grep: () => grepTree(thousand),
  cp: (fixtures) => copyTree(fixtures, { files: 200, directories: 10, bytes: 4096 }),
  big: bigFile,
  tar: extract,
  git: repository,
  commit,
  rm: remove,
  save,
  site,
}

/** Takes minutes with some, and so only takes part when it is asked for. */
const long: ReadonlySet<WorkloadName> = new Set(['site'])

/** Workloads at their usual size, by name; what they need is made in `fixtures`. */
export function workloadsOf(fixtures: string, only: ReadonlySet<string> | undefined): Workload[] {
  return workloadNames
    .filter((name) => only?.has(name) ?? !long.has(name))
    .map((name) => makers[name](fixtures))
}

function bigFile(fixtures: string): Workload {
  const bytes = 40_000_000
  const source = join(fixtures, 'big')
  writeFileSync(source, noise(bytes))
  const need = transferring(bytes)
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
        need,
      },
      {
        name: '40 MB read, cold',
        cold: true,
        script: `cmp '${source}' "$mount/big" && echo same`,
        isRight: (output) => output === 'same\n',
        need,
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
        need: writing(shape.files * shape.bytes),
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
    need: gitStatus(shape),
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
        need: writing(bytes),
      },
      status,
    ],
  }
}

function commit(fixtures: string): Workload {
  const shape = { files: 200, directories: 20, bytes: 4096 }
  const source = join(fixtures, 'committed')
  makeRepository(source, shape)
  /* of another length: what the first commit has is no new object */
  const added = { files: 100, directories: 10, bytes: 3000 }
  /* besides each file and directory: `added`, the root, the commit */
  const newObjects = added.files + added.directories + 3
  return {
    name: 'commit',
    isReading: false,
    prepare: (files) => {
      execFileSync('cp', ['-a', source, join(files, 'work')])
      makeTree(join(files, 'work', 'added'), added)
    },
    steps: [
      {
        name: `git add and commit of ${added.files} files`,
        cold: true,
        script: `cd "$mount/work" && ${git} add -A && ${git} commit -q -m more`,
        /* the branch was packed before */
        isDurable: (files) => {
          const paths = [...filesBelow(join(files, 'work', '.git')).keys()]
          const objects = paths.filter((path) => /^objects\/[0-9a-f]{2}\/[0-9a-f]{38}$/.test(path))
          const isLocked = paths.some((path) => path.endsWith('.lock'))
          return paths.includes('refs/heads/main') && objects.length >= newObjects && !isLocked
        },
      },
    ],
  }
}

function remove(): Workload {
  const shape = { files: 500, directories: 25, bytes: 100 }
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
        need: removing(shape),
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
        need: writing(after.length),
      },
    ],
  }
}
