/**
 * A write-back over files in memory, on a clock that the test moves. Layer: tests.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { ContentCache } from '../../src/cache/content-cache.ts'
import { MetadataCache } from '../../src/cache/metadata-cache.ts'
import type { RemoteEntry } from '../../src/client/session-files.ts'
import { silentLogger } from '../../src/log.ts'
import { WriteBack, type WriteBackOptions } from '../../src/write-back/write-back.ts'
import { MemoryFiles, type MemoryFilesOptions } from '../contract/memory-files.ts'
import { FakeClock } from '../fake-clock.ts'

export interface Rig {
  readonly files: MemoryFiles
  readonly clock: FakeClock
  readonly listings: MetadataCache
  readonly contents: ContentCache
  readonly directory: string
  changes: WriteBack
  /** Ends the write-back as it is and opens the journal again, as a next run would. */
  reopen(options?: Partial<WriteBackOptions>): Promise<void>
  /** Writes a whole file as a program would: create, write, flush, release. */
  write(path: string, text: string): void
  /** Lets `ms` pass and everything that then runs by itself come to an end. */
  pass(ms: number): Promise<void>
}

const directories = new Map<Test, string>()

export async function startRig(
  t: Test,
  options: Partial<WriteBackOptions> = {},
  filesOptions: MemoryFilesOptions = {},
): Promise<Rig> {
  const directory = mkdtempSync(join(tmpdir(), 'write-back-'))
  directories.set(t, directory)
  const clock = new FakeClock()
  const files = new MemoryFiles({ clock, ...filesOptions })
  const logger = silentLogger
  const listings = new MetadataCache({
    files,
    clock,
    ttlMs: 2000,
    maxEntries: 100_000,
    logger,
    onListing: (listing) => rig.changes.observe(listing),
  })
  const contents = new ContentCache({
    files,
    listings,
    clock,
    logger,
    directory: join(directory, 'cache'),
    ttlMs: 2000,
  })
  const open = (more: Partial<WriteBackOptions> = {}): Promise<WriteBack> =>
    WriteBack.open({
      directory,
      boot: 'boot-1',
      files,
      listings,
      contents,
      clock,
      logger,
      random: () => 0,
      ...options,
      ...more,
    })
  const rig: Rig = {
    files,
    clock,
    listings,
    contents,
    directory,
    changes: await open(),
    async reopen(more) {
      await rig.changes.close()
      rig.changes = await open(more)
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
