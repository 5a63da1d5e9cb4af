/**
 * An emulator for one test: its own data directory, one session, gone at the end of the test.
 */

import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { type Emulator, type EmulatorOptions, startEmulator } from '../src/emulator/emulator.ts'

export const agent = 'demo-agent'
export const session = 'demo-session-0001'

/** Paths relative to the session's home; a directory's value is null, a link's its target. */
export type Tree = Record<string, Buffer | string | null>

export interface TestEmulator extends Emulator {
  /** `AGENT/SESSION` of the seeded session. */
  readonly target: string
  /** The home of the seeded session on the disk. */
  readonly home: string
}

/** Starts an emulator that ends with the test. The session is seeded; options override everything. */
export async function startTestEmulator(
  t: Pick<Test, 'teardown'>,
  options: Partial<EmulatorOptions> = {},
): Promise<TestEmulator> {
  const isOwnDirectory = options.data === undefined
  const data = options.data ?? fs.mkdtempSync(join(tmpdir(), 'mount-session-emulator-'))
  const emulator = await startEmulator({ seed: [{ agent, session }], ...options, data })
  t.teardown(async () => {
    await emulator.close()
    if (isOwnDirectory) fs.rmSync(data, { recursive: true, force: true })
  })
  return Object.assign(emulator, {
    target: `${agent}/${session}`,
    home: join(data, 'agents', agent, 'sessions', session, 'home'),
  })
}

/** What lies on the emulator's disk for the seeded session, with contents. */
export function files(emulator: TestEmulator): Tree {
  const tree: Tree = {}
  for (const entry of fs.readdirSync(emulator.home, { recursive: true, withFileTypes: true })) {
    const location = join(entry.parentPath, entry.name)
    const path = location.slice(emulator.home.length + 1)
    if (entry.isDirectory()) tree[path] = null
    else tree[path] = entry.isSymbolicLink() ? fs.readlinkSync(location) : fs.readFileSync(location)
  }
  return tree
}
