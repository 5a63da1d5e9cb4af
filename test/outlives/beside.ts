/**
 * The same script on the local disk and on a mount whose daemon is killed again and again meanwhile. Layer: test.
 *
 * Invariant: on both it exits with 0, says the same and nothing on stderr, and leaves the same tree; and the service
 * ends up with that tree, byte for byte.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { describe, treeOf } from '../mount/rig.ts'
import { kills, killsEach, mountOutliving, seed } from './rig.ts'

export interface Beside {
  /** Puts into a directory what is there before: of the agent's on the mount. */
  readonly seeds?: (directory: string) => void
  /** Puts into a directory of the local disk what the script finds there, as `$INPUTS`. */
  readonly inputs?: (directory: string) => void
  /** Paths, from the first one on, that are beside the comparison: they hold times or chance. */
  readonly special?: RegExp
  readonly limitMs?: number
}

/** What a file is to everybody: kind, mode, size, path, contents. Directories have sizes of their own. */
const look = `find . -mindepth 1 -type d -printf '%y %m %p\\n' -o -mindepth 1 -printf '%y %m %s %p\\n' | sort
find . -type f -print0 | sort -z | xargs -0 -r sha256sum`

/** The environment of a script: `$INPUTS` is there for both sides, `$OUT` an empty local directory of its own. */
const identity = {
  GIT_AUTHOR_NAME: 'A Tester',
  GIT_AUTHOR_EMAIL: 'tester@example.com',
  GIT_COMMITTER_NAME: 'A Tester',
  GIT_COMMITTER_EMAIL: 'tester@example.com',
  GIT_AUTHOR_DATE: '2026-01-02T03:04:05Z',
  GIT_COMMITTER_DATE: '2026-01-02T03:04:05Z',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_SYSTEM: '/dev/null',
}

/**
 * Runs it as often as it takes to be killed under as often as it should be, each time in a new directory, once at
 * least. Resolves with what it said last, and where that directory lies on the emulator's disk.
 */
export async function outlives(
  t: Test,
  script: string,
  options: Beside = {},
): Promise<{ said: string; home: string }> {
  const { seeds, inputs, special = /^$/, limitMs = 120_000 } = options
  const mounted = await mountOutliving(t, { emulator: { latencyMs: 10 } })
  const { root, emulator } = mounted
  const given = join(root, 'inputs')
  fs.mkdirSync(given)
  inputs?.(given)
  let killed = 0
  for (let round = 1; ; round++) {
    const name = `round-${round}`
    const local = join(root, 'local', name)
    const home = join(emulator.home, name)
    for (const directory of [local, home]) {
      fs.mkdirSync(directory, { recursive: true })
      seeds?.(directory)
    }
    const run = (side: string): readonly [string, Readonly<Record<string, string | undefined>>] => {
      const out = join(root, `out-${side}-${round}`)
      fs.mkdirSync(out)
      return [`umask 022; ${script}`, { ...mounted.env, ...identity, INPUTS: given, OUT: out }]
    }
    const onDisk = (
      text: string,
      env: Readonly<Record<string, string | undefined>>,
    ): ReturnType<typeof mounted.sh> =>
      mounted.start('bash', ['-c', `set -euo pipefail\ncd "$1"\n${text}`, 'bash', local], { env, limitMs })
        .ended
    const expected = await onDisk(...run('disk'))
    t.match(expected, { code: 0, stderr: '' }, `on the local disk: ${describe(expected)}`)

    /* until then the mount may go by a listing from before */
    await mounted.ok(`until test -d ${name}; do sleep 0.05; done`)
    const [text, env] = run('mount')
    const program = mounted.startSh(`cd ${name}\n${text}`, { env, limitMs })
    const times = await mounted.killWhile(program, { times: killsEach, seed: seed + round })
    killed += times
    const found = await program.ended
    t.match(found, { code: 0, stderr: '' }, `on the mount, killed ${times} times: ${describe(found)}`)
    t.equal(found.stdout, expected.stdout, 'says the same')
    if (kills > 0) t.ok(times > 0, 'it was killed under')

    const shown = await mounted.ok(`cd ${name}\n${look}`, { limitMs })
    const plain = (lines: string): readonly string[] =>
      lines.split('\n').filter((line) => !special.test(line))
    t.strictSame(plain(shown), plain((await onDisk(look, env)).stdout), 'shows the same')
    await mounted.sync()
    const stored = (directory: string): unknown =>
      Object.fromEntries(Object.entries(treeOf(directory)).filter(([path]) => !special.test(path)))
    t.strictSame(stored(home), stored(local), 'the service has the same')
    if (killed >= killsEach || times === 0) {
      t.strictSame(mounted.logged('error'), [], 'the daemons met no fault of their own')
      return { said: found.stdout, home }
    }
  }
}

/** A tree of many small files, some larger and awkward ones, of the same bytes each time. */
export function tree(directory: string): void {
  const write = (path: string, content: string | Buffer): void => {
    fs.mkdirSync(join(directory, path, '..'), { recursive: true })
    fs.writeFileSync(join(directory, path), content)
  }
  const bytes = (length: number, salt: number): Buffer =>
    Buffer.from(Array.from({ length }, (_, i) => (i * i + salt * i + (i >> 7)) % 251))
  write('README', 'first line\nsecond line\nthird line\n')
  write('empty', '')
  write('docs/name with spaces.txt', 'spaces\n')
  for (let i = 0; i < 200; i++) write(`src/part-${i % 10}/file-${i}.py`, `print(${i})\n`.repeat(1 + (i % 40)))
  for (let i = 0; i < 12; i++) write(`data/deep/deeper/block-${i}.bin`, bytes(50_000 + 40_000 * i, i))
}
