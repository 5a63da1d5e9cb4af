/**
 * The same script on the mount and on the local disk. Layer: test.
 *
 * Invariant: both must say the same and exit alike, and after `mount-session sync` the service's disk must hold
 * the tree that the local disk holds, byte for byte.
 */

import * as fs from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { ProgramOptions } from './programs.ts'
import { describe, type MountedEmulator, treeOf } from './rig.ts'

export interface Sides {
  /** In a new directory `name` on either side; resolves with what the mount's side said. */
  readonly alike: (t: Test, name: string, script: string, options?: ProgramOptions) => Promise<string>
}

/**
 * `$INPUTS` names a directory of fixtures on the local disk, the same for both sides.
 */
export function sides(mounted: MountedEmulator, inputs: string): Sides {
  const env = {
    ...mounted.env,
    INPUTS: inputs,
    GIT_AUTHOR_NAME: 'A Tester',
    GIT_AUTHOR_EMAIL: 'tester@example.com',
    GIT_COMMITTER_NAME: 'A Tester',
    GIT_COMMITTER_EMAIL: 'tester@example.com',
    GIT_AUTHOR_DATE: '2026-01-02T03:04:05Z',
    GIT_COMMITTER_DATE: '2026-01-02T03:04:05Z',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_SYSTEM: '/dev/null',
  }
  return {
    alike: async (t, name, script, options) => {
      const local = join(mounted.root, 'local', name)
      fs.mkdirSync(local, { recursive: true })
      const prologue = 'set -euo pipefail\numask 022\n'
      const expected = await mounted.start('bash', ['-c', `cd "$1"\n${prologue}${script}`, 'bash', local], {
        env,
        ...options,
      }).ended
      const found = await mounted.sh(`mkdir -p '${name}'\ncd '${name}'\n${prologue}${script}`, {
        env,
        ...options,
      })
      if (found.code !== expected.code)
        t.fail(`on the mount: ${describe(found)}; locally: ${describe(expected)}`)
      t.same(found.stdout, expected.stdout, 'says the same')
      await mounted.sync()
      t.strictSame(treeOf(join(mounted.emulator.home, name)), treeOf(local), 'the service has the same')
      return found.stdout
    },
  }
}

/** A small tree of text, binary and awkward files in a new directory. */
export function fixtures(root: string): string {
  const inputs = join(root, 'inputs')
  fs.mkdirSync(join(inputs, 'tree', 'docs', 'deep', 'deeper'), { recursive: true })
  fs.mkdirSync(join(inputs, 'tree', 'src'), { recursive: true })
  const write = (path: string, content: string | Buffer): void =>
    fs.writeFileSync(join(inputs, 'tree', path), content)
  write('README', 'first line\nsecond line\nthird line\n')
  write('empty', '')
  write('docs/one.txt', 'one\n')
  write('docs/deep/two.txt', 'two\n'.repeat(1000))
  write('docs/deep/deeper/three.bin', Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * i) % 251)))
  write('docs/name with spaces.txt', 'spaces\n')
  for (let i = 0; i < 20; i++) write(`src/file-${i}.py`, `print(${i})\n`)
  fs.chmodSync(join(inputs, 'tree', 'src', 'file-3.py'), 0o755)
  return inputs
}
