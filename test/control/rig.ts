/**
 * A running mount as the command line sees one: handlers that tests can hold and release.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { silentLogger } from '../../src/log.ts'
import { startControlServer } from '../../src/control/control-server.ts'
import type { ControlHandlers, Leftover, StatusReport } from '../../src/control/protocol.ts'

export const leftover: Leftover = {
  path: 'a/b',
  state: 'parked',
  wanted: 'file',
  bytes: 12,
  ageMs: 5,
  error: '409',
}

export function statusReport(changes: Partial<StatusReport> = {}): StatusReport {
  return {
    version: '0.1.0',
    pid: 4711,
    endpoint: 'https://example.test/api/projects/p',
    agent: 'agent',
    session: 'session',
    directory: '/mnt/s',
    readOnly: false,
    mountedAt: '2026-01-02T03:04:05.000Z',
    restarts: [],
    service: { state: 'ready' },
    paths: [],
    setAside: [],
    calls: {},
    latencies: {},
    bytes: { uploaded: 0, downloaded: 0 },
    console: { mode: 'open', state: 'idle', openHandles: 0, connections: 0, lines: 0 },
    cache: { listingHits: 0, listingMisses: 0, contentHits: 0, contentMisses: 0, bytes: 0 },
    ...changes,
  }
}

export function fakeHandlers(changes: Partial<ControlHandlers> = {}): ControlHandlers {
  return {
    status: () => statusReport(),
    sync: () => Promise.resolve(),
    unmount: () => Promise.resolve([]),
    restart: () => Promise.resolve(4712),
    retry: () => 0,
    discard: () => 0,
    ...changes,
  }
}

/** A server in a state directory of the test's own; `directory` may be far deeper than a socket's address allows. */
export async function startFake(
  t: { testdir(): string; teardown(done: () => Promise<void>): void },
  handlers: ControlHandlers,
): Promise<string> {
  const stateDirectory = join(t.testdir(), 'state'.repeat(30))
  mkdirSync(stateDirectory, { recursive: true })
  const server = await startControlServer(stateDirectory, handlers, silentLogger)
  t.teardown(() => server.close())
  return stateDirectory
}
