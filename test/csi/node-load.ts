/**
 * A program that writes and reads back in a volume without end. Layer: test.
 *
 * Invariant: it has met no error when `stop` passes.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Running } from '../mount/programs.ts'
import { load, type Node } from './node-rig.ts'

export interface Load {
  readonly running: Running
  readonly rounds: () => number
  /** It has gone on for some rounds since. */
  readonly goesOn: () => Promise<void>
  readonly stop: () => Promise<void>
}

export function startLoad(t: Test, node: Node, pod: string, limitMs?: number): Load {
  const flags = mkdtempSync(join(tmpdir(), 'mount-session-flags-'))
  t.teardown(() => rmSync(flags, { recursive: true }))
  const stop = join(flags, 'stop')
  const running = node.shell(pod, `mkdir -p of-${pod} && cd of-${pod}\nSTOP='${stop}'\n${load}`, limitMs)
  const rounds = (): number => running.stdout().split('round').length - 1
  return {
    running,
    rounds,
    async goesOn() {
      const before = rounds()
      await running.until(() => rounds() > before + 5 || running.child.exitCode !== null)
    },
    async stop() {
      writeFileSync(stop, '')
      const { code, stdout, stderr } = await running.ended
      t.strictSame(
        { code, last: stdout.trimEnd().split('\n').at(-1), stderr },
        { code: 0, last: 'done', stderr: '' },
      )
    },
  }
}
