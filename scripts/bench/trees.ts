/**
 * `--trees`: a tree each way without a mount, by `get -r` and `put -r`, beside `cp -r` of the same through a mount.
 * Layer: benchmark.
 *
 * Invariant: one service behind one link for all of it, and nothing known of the tree beforehand: every command has
 * directories of its own, and the mount is a new one for each pass.
 */
import { execFile } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { filesBelow, makeTree, type TreeShape } from './fixtures.ts'
import { physicalSeconds, reading, writing, type Line } from './limits.ts'
import { Link, type LinkSpeed } from './link.ts'
import { unmount } from './mount-points.ts'
import { mountSession } from './mount-session.ts'
import { digits, median, table } from './results.ts'

export interface TreesOptions {
  readonly directory: string
  readonly speed: LinkSpeed
  readonly line: Line
  readonly rounds: number
  readonly tls: boolean
  readonly onProgress: (line: string) => void
}

const shape: TreeShape = { files: 1000, directories: 20, bytes: 4096 }
const party = (tls: boolean) => mountSession({ modifiedTime: 'zero', tls })
const run = promisify(execFile)

/** Lines of Markdown. */
export async function measureTrees(options: TreesOptions): Promise<string[]> {
  const { directory, line, rounds, tls, onProgress } = options
  const source = join(directory, 'fixtures', 'tree')
  makeTree(source, shape)
  const passes = new Map<string, number[]>()
  for (let round = 1; round <= rounds; round++) {
    await onLink({ ...options, directory: join(directory, 'contender') }, async (pass) => {
      for (const [name, seconds] of await pass(source)) {
        passes.set(name, [...(passes.get(name) ?? []), seconds])
        onProgress(`round ${round} of ${rounds}: ${name}: ${digits(seconds)} s`)
      }
    })
  }
  const limits = new Map([
    ['there', physicalSeconds(writing(shape.files * shape.bytes), line)],
    ['back', physicalSeconds(reading(shape), line)],
  ])
  const rows = [...passes].map(([name, seconds]) => {
    const limit = limits.get(name.split(':')[0] ?? '') ?? NaN
    return [name, digits(limit), `${digits(median(seconds))} (${digits(median(seconds) / limit)} × limit)`]
  })
  return [
    `- ${shape.files} files of ${shape.bytes} bytes in ${shape.directories} directories, ${tls ? 'over TLS' : 'without TLS'}`,
    '',
    `Medians of ${rounds} rounds.`,
    '',
    table(['seconds', 'physical limit', 'until all is there'], rows),
  ]
}

type Pass = (source: string) => Promise<readonly (readonly [name: string, seconds: number])[]>

async function onLink(
  { directory, speed, tls }: TreesOptions,
  work: (pass: Pass) => Promise<void>,
): Promise<void> {
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  const ourParty = party(tls)
  const server = await ourParty.startServer(directory)
  const link = await Link.start(directory, server.port, speed)
  let commands = 0
  /** A command of the program by somebody who has never run it. */
  const ours = async (words: readonly string[], home: string): Promise<void> => {
    const { command, env } = ourParty.client(home, link.port, '')
    await run(command[0], words, { env: { ...process.env, ...env }, timeout: 300_000 })
  }
  const address = 'bench/bench-session'
  const timed = async (what: () => Promise<unknown>): Promise<number> => {
    const since = performance.now()
    await what()
    return (performance.now() - since) / 1000
  }
  const newHome = (): string => {
    const home = join(directory, `client-${++commands}`)
    mkdirSync(join(home, 'mount'), { recursive: true })
    return home
  }
  const mounted = async (use: (mountPoint: string, home: string) => Promise<number>): Promise<number> => {
    const home = newHome()
    const mountPoint = join(home, 'mount')
    await ours([address, mountPoint], home)
    try {
      return await use(mountPoint, home)
    } finally {
      await unmount(mountPoint)
    }
  }
  try {
    await work(async (source) => {
      const home = newHome()
      const put = await timed(() => ours(['put', '-r', source, `${address}:put`], home))
      const copied = await mounted((mountPoint, by) =>
        timed(async () => {
          await run('cp', ['-r', source, join(mountPoint, 'copied')])
          await ours(['sync', mountPoint], by)
        }),
      )
      const get = await timed(() => ours(['get', '-r', `${address}:put`, join(home, 'got')], home))
      const read = await mounted((mountPoint, by) =>
        timed(() => run('cp', ['-r', join(mountPoint, 'put'), join(by, 'read')])),
      )
      for (const copy of [join(home, 'got'), join(server.files, 'copied')])
        if (filesBelow(copy).size !== shape.files) throw new Error(`${copy} is not whole`)
      return [
        ['there: put -r', put],
        ['there: cp -r to a mount, and sync', copied],
        ['back: get -r', get],
        ['back: cp -r from a new mount', read],
      ]
    })
  } finally {
    await link.process.stop()
    await server.process.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}
