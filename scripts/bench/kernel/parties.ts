/**
 * Who takes part in the kernel layer's benchmark: each a program that shows the files of `tree.ts` at a
 * mount point, in a process of its own. Layer: benchmark.
 *
 * Invariant: the kernel remembers nothing for any of them (timeouts 0, pages dropped at each open), so that
 * all get the same requests.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { missingPrograms } from '../party.ts'

export interface KernelParty {
  readonly name: string
  /** What it is, in a few words, for the results. */
  readonly what: string
  /** Why it cannot take part on this machine. */
  missing(): string | undefined
  /** Installs or compiles what it needs, in `directory` where that is for this run alone. */
  prepare(directory: string): Promise<void>
  /** How to serve in the foreground; `files` has the tree for who passes it through. */
  command(directory: string, files: string, mountPoint: string): readonly [string, ...string[]]
}

const run = promisify(execFile)
const passthroughSource = '/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c'

const mountSession: KernelParty = {
  name: 'mount-session',
  what: 'src/fuse over a filesystem in memory',
  missing: () => missingPrograms({ fusermount3: 'fuse3' }),
  prepare: () => Promise.resolve(),
  command: (_directory, _files, mountPoint) => [
    process.execPath,
    join(import.meta.dirname, 'serve-mount-session.ts'),
    mountPoint,
  ],
}

/** One of npm's, in a folder of its own. */
function fuseBinding(name: string, folder: string, what: string, workers: readonly string[]): KernelParty {
  const directory = join(import.meta.dirname, folder)
  return {
    name,
    what: `the npm package over a filesystem in memory, ${what}`,
    missing: () => missingPrograms({ fusermount3: 'fuse3', npm: 'npm' }),
    async prepare() {
      if (!existsSync(join(directory, 'node_modules', '.package-lock.json'))) {
        // Its prebuilt binary is used: the install script would only look whether it loads, or compile another.
        await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: directory })
      }
      await run(process.execPath, ['-e', `require('${folder}')`], { cwd: directory }).catch(
        (error: unknown) => {
          const text = error instanceof Error ? error.message : String(error)
          throw new Error(/^Error: .*$/m.exec(text)?.[0] ?? text, { cause: error })
        },
      )
    },
    command: (_directory, _files, mountPoint) => [
      process.execPath,
      join(directory, 'serve.ts'),
      mountPoint,
      ...workers,
    ],
  }
}

function fuseNapi(workers: number): KernelParty {
  const count = String(workers)
  return fuseBinding(`fuse-napi, ${count} workers`, 'fuse-napi', 'without its timer for each call', [count])
}

/* Its binary needs a libfuse.so.2, which it brings or Debian has (libfuse2). */
const fuseNative = fuseBinding(
  'fuse-native',
  'fuse-native',
  'without its timer for each call, on libfuse 2',
  [],
)

const passthrough: KernelParty = {
  name: 'libfuse in C',
  what: 'passthrough_ll of libfuse3-dev, with as many threads as it likes, over the same files in a tmpfs; its system calls there are in its figures',
  missing: () =>
    missingPrograms({ fusermount3: 'fuse3', gcc: 'gcc', 'pkg-config': 'pkg-config' }) ??
    (existsSync(passthroughSource)
      ? undefined
      : `${passthroughSource} is missing (Debian: apt-get install libfuse3-dev)`),
  async prepare(directory) {
    const { stdout } = await run('pkg-config', ['--cflags', '--libs', 'fuse3'])
    const flags = stdout.trim().split(/\s+/)
    await run('gcc', ['-O2', passthroughSource, '-o', join(directory, 'passthrough_ll'), ...flags])
  },
  command: (directory, files, mountPoint) => [
    join(directory, 'passthrough_ll'),
    '-f',
    '-o',
    `source=${files},timeout=0,cache=auto`,
    mountPoint,
  ],
}

export const kernelParties: readonly KernelParty[] = [
  mountSession,
  fuseNapi(4),
  fuseNapi(16),
  fuseNative,
  passthrough,
]
