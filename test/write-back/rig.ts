/**
 * A write-back over files in memory, on a clock that the test moves. Layer: tests.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { ContentCache } from '../../src/cache/content-cache.ts'
import type { MetadataCache } from '../../src/cache/metadata-cache.ts'
import type { RemoteEntry } from '../../src/client/session-files.ts'
import type { Assembly, AssemblyOptions } from '../../src/session/assemble.ts'
import type { WriteBack } from '../../src/write-back/write-back.ts'
import { assembleOver } from '../assembly.ts'
import { MemoryFiles, type MemoryFilesOptions } from '../contract/memory-files.ts'
import { FakeClock } from '../fake-clock.ts'

export interface Rig {
  readonly files: MemoryFiles
  readonly clock: FakeClock
  listings: MetadataCache
  contents: ContentCache
  readonly directory: string
  changes: WriteBack
  /** Ends the write-back as it is and opens the journal again, as a next run would. */
  reopen(options?: Partial<AssemblyOptions>): Promise<void>
  /** Writes a whole file as a program would: create, write, flush, release. */
  write(path: string, text: string): void
  /** Lets `ms` pass and everything that then runs by itself come to an end. */
  pass(ms: number): Promise<void>
}

const directories = new Map<Test, string>()

export async function startRig(
  t: Test,
  options: Partial<AssemblyOptions> = {},
  filesOptions: MemoryFilesOptions = {},
): Promise<Rig> {
  const directory = mkdtempSync(join(tmpdir(), 'write-back-'))
  directories.set(t, directory)
  const clock = new FakeClock()
  const files = new MemoryFiles({ clock, ...filesOptions })
  const open = (more: Partial<AssemblyOptions> = {}): Promise<Assembly> =>
    assembleOver({ directory, files, clock, ...options, ...more })
  const rig: Rig = {
    files,
    clock,
    directory,
    ...(await open()),
    async reopen(more) {
      await rig.changes.close()
      Object.assign(rig, await open(more))
    },
    write(path, text) {
      const copy = rig.changes.create(path, undefined)
      copy.retain()
      copy.write(0, Buffer.from(text))
      copy.flush()
      copy.release()
    },
    async pass(ms) {
      clock.advance(ms)
      await quiet()
    },
  }
  t.teardown(async () => {
    await rig.changes.close()
    rmSync(directory, { recursive: true, force: true })
  })
  return rig
}

/** Resolves when nothing has been going on for a while: no disk access of the event loop's pool is outstanding. */
export async function quiet(): Promise<void> {
  for (let idle = 0; idle < 8; idle++) {
    await new Promise((resolve) => setImmediate(resolve))
    if (busyHandles() > 0) idle = 0
  }
}

function busyHandles(): number {
  return process
    .getActiveResourcesInfo()
    .filter((kind) => kind.startsWith('FS') || kind.endsWith('CloseReq') || kind.endsWith('Request')).length
}

/** Waits for a condition that does not depend on the clock of the test, at most `turns` turns of the event loop. */
export async function until(condition: () => boolean, turns = 20_000): Promise<void> {
  for (let turn = 0; turn < turns; turn++) {
    if (condition()) return
    await new Promise((resolve) => setImmediate(resolve))
  }
  throw new Error(`still not so: ${condition.toString()}`)
}

export const noSignal = new AbortController().signal

/** What an action fails with; an action that succeeds fails the test. */
export async function failureOf(action: () => unknown): Promise<unknown> {
  try {
    await action()
  } catch (error) {
    return error
  }
  throw new Error('it should have failed')
}

/** A file as a listing shows it. */
export function listedFile(name: string, size: number): RemoteEntry {
  return { name, isDirectory: false, size, modifiedSeconds: 0 }
}
