/**
 * The same script on the mount and on the local disk. Layer: test.
 *
 * Invariant: on the local disk it succeeds; on the mount it says the same on both streams and leaves the same
 * kinds, modes and sizes; and after `mount-session sync` the service's disk holds the same tree, byte for byte.
 */

import * as fs from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { ProgramOptions } from './programs.ts'
import { type MountedEmulator, treeOf } from './rig.ts'

/** What a run of a script came to. */
export interface Side {
  readonly exit: number | NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  /** What it left: kind, mode, size of files, path. */
  readonly shown: readonly string[]
}

export interface Sides {
  /** In a new directory `name` on either side; resolves with what the mount's side said. */
  readonly alike: (t: Test, name: string, script: string, options?: ProgramOptions) => Promise<string>
  /** The same without comparing: for what is known to differ. */
  readonly both: (
    name: string,
    script: string,
    options?: ProgramOptions,
  ) => Promise<{ readonly onDisk: Side; readonly onMount: Side }>
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
  const both: Sides['both'] = async (name, script, options) => {
    const local = join(mounted.root, 'local', name)
    const remote = join(mounted.directory, name)
    await mounted.start('mkdir', ['-p', local, remote]).ended
    const on = async (directory: string, onLimit?: () => void): Promise<Side> => {
      const command = ['-c', `set -euo pipefail\numask 022\ncd "$1"\n${script}`, 'bash', directory]
      const ended = await mounted.start('bash', command, { env, onLimit, ...options }).ended
      const shown = await mounted.start('find', [directory, ...attributes]).ended
      const plain = (text: string): string => text.replaceAll(directory, 'DIRECTORY')
      return {
        exit: ended.code ?? ended.signal,
        stdout: plain(ended.stdout),
        stderr: plain(ended.stderr),
        shown: shown.stdout.split('\n').sort(),
      }
    }
    return { onDisk: await on(local), onMount: await on(remote, mounted.abort) }
  }
  return {
    both,
    alike: async (t, name, script, options) => {
      const { onDisk, onMount } = await both(name, script, options)
      t.equal(onDisk.exit, 0, `it runs on the local disk: ${onDisk.stderr}`)
      t.strictSame(onMount, onDisk, 'says and shows the same')
      await mounted.sync()
      const stored = treeOf(join(mounted.emulator.home, name))
      t.strictSame(stored, treeOf(join(mounted.root, 'local', name)), 'the service has the same')
      return onMount.stdout
    },
  }
}

/* a directory has a size of its own on each filesystem */
const attributes = '-mindepth 1 -type f -printf %y,%m,%s,%P\\n -o -mindepth 1 -printf %y,%m,%P\\n'.split(' ')

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
