/**
 * A Microsoft Foundry hosted-agent session service over a directory of this machine. Layer: emulator,
 * beside the client and independent of it.
 *
 * Invariant: with default options it answers as the service was recorded to answer; every belief below that
 * no recording shows is held by a test in `test/conformance`, so that a change of it is seen.
 *
 * Recorded: create answers 201 with status `active`; upload 201 with the path without its leading slash, and
 * makes parents; `modified_time` is 0; a listing without a next page has neither `first_id` nor `last_id`;
 * downloads have a Content-Length and are never compressed, JSON is; no ETag, ranges or Last-Modified.
 *
 * Believed, where nothing is recorded:
 * - over TLS it speaks HTTP/2 and HTTP/1.1, as the client prefers (ALPN)
 * - PUT is atomic and answers 201 for an existing file too; onto a directory, or through a file, 409
 * - the limit is 52,428,800 bytes, beyond it 413
 * - `..`, NUL, backslash, names over 255 bytes: 400; `.` and `//` collapse; `+` in a query is a space
 * - listing, downloading or deleting what is missing: 404; listing a file or downloading a directory: 400
 * - deleting the home: 400; deleting a directory that is not empty without `recursive=true`: 409
 * - listings are ordered by name, a cursor is the name, and holds its place when the name is gone
 * - the home is `.` in listings and stats; a directory's size is 4096; links are followed, a dangling one shows as itself
 * - a file call wakes an idle or stopped session, which may answer 424 meanwhile; getting it, listing
 *   sessions and log streams do not; only file calls move `last_accessed_at` and `expires_at`
 * - after `:stop` the status is `idle`, with `stopped_at`; a second `:stop` is 409; deleting what is not there 204
 * - an expired session can still be got, with its status; its files and its log are 404
 * - a caller-chosen id in use: 409; one that is not 8 to 128 of A-Za-z0-9_-: 400; `@latest` as version: 400,
 *   one that the agent does not have: 404; without one the endpoint's rules choose, or it is the latest
 * - sessions are listed by creation; a cursor holds its place when its session is deleted; an empty page has
 *   neither `first_id` nor `last_id`, since the Python SDK asks on until there is none
 * - a patch that leaves an agent outside of the schema: 400; the percentages of its rules make 100, and its
 *   versions exist; what only the service sets is taken no notice of
 * - `sessions//files` is the session called `files` (recorded); below a session that is not there all is 404
 * - a session made with an isolation key is 404 under another key; under none, only where the endpoint takes
 *   its isolation key from the header; delegated (`x-ms-user-identity`) and not: 403 to each other
 * - a log stream replays recent lines to every connection, and of a session that is not running says so and ends
 * - 429 carries Retry-After in seconds
 */

import { randomBytes } from 'node:crypto'
import * as fs from 'node:fs'
import type { AddressInfo } from 'node:net'
import { resolve } from 'node:path'
import { systemClock } from '../clock.ts'
import { silentLogger } from '../log.ts'
import { loadCertificate } from './certificate.ts'
import type { Emulator } from './control.ts'
import { sessionNotFound } from './envelope.ts'
import { FaultEffects } from './fault-effects.ts'
import { Faults } from './faults.ts'
import { Gate } from './gate.ts'
import { LogStreams } from './log-streams.ts'
import type { EmulatorOptions } from './options.ts'
import { seedWorkspace } from './seed-workspace.ts'
import { basePath, buildServer } from './server.ts'
import type { StoredSession } from './session.ts'
import { Store } from './store.ts'
import { Traffic } from './traffic.ts'

export type { Emulator, Hold } from './control.ts'
export type { Fault, FaultMatch, FaultRule } from './faults.ts'
export type { EmulatorOptions, EmulatedLogStream, SeedSession } from './options.ts'
export type { Call, CountedVerb } from './traffic.ts'

/** Starts an emulator; resolves when it listens. Rejects when the address or the directory cannot be used. */
export async function startEmulator(options: EmulatorOptions): Promise<Emulator> {
  const { host = '127.0.0.1', port = 0, clock = systemClock, logger = silentLogger } = options
  const data = resolve(options.data)
  const token = options.token ?? randomBytes(24).toString('base64url')
  let acceptedToken: string | null = token
  fs.mkdirSync(data, { recursive: true, mode: 0o700 })

  const traffic = new Traffic(clock)
  const faults = new Faults()
  const effects = new FaultEffects(clock)
  const logStreams = new LogStreams()
  const store = new Store(data, {
    clock,
    idleAfterMs: options.idleAfterMs ?? Infinity,
    wakeMs: options.wakeMs ?? 0,
  })
  const gate = new Gate({
    clock,
    traffic,
    faults,
    effects,
    latencyMs: options.latencyMs ?? 0,
    requestsPerSecond: options.requestsPerSecond ?? Infinity,
    accepts: (given) => given === acceptedToken,
  })
  const certificate = options.tls === true ? await loadCertificate(data, host) : undefined

  const seeds = options.seed ?? []
  for (const { agent, session } of seeds) {
    const isNew = store.ensureSession(agent, session)
    if (isNew && options.seedFiles === true) seedWorkspace(find(agent, session))
  }

  function find(agent: string, id: string): StoredSession {
    const session = store.find(agent, id)
    if (session === undefined) throw sessionNotFound(id)
    return session
  }

  let endpoint = ''
  const emulator: Emulator = {
    get endpoint() {
      return endpoint
    },
    token,
    certificatePath: certificate?.path,
    data,
    counts: () => traffic.counts(),
    statuses: () => traffic.statuses(),
    calls: () => traffic.calls(),
    resetCounts: () => traffic.reset(),
    fault: (rule) => {
      const live = faults.add(rule)
      return () => live.remove()
    },
    hold: (match) => {
      const live = faults.add({ ...match, kind: 'hold' })
      return { reached: live.reached, release: () => live.remove() }
    },
    clearFaults: () => faults.clear(),
    appendLog: (agent, session, lines, stream) => find(agent, session).console.append(lines, stream),
    closeLogStreams: (how) => logStreams.close(how?.reset ?? false),
    filesDirectory: (agent, session) => find(agent, session).home.directory,
    expireSession: (agent, session) => find(agent, session).expire(),
    sleepSession: (agent, session) => find(agent, session).stop(),
    deleteSession: (agent, session) => store.deleteSession(agent, session),
    setToken: (next) => {
      acceptedToken = next
    },
    close,
  }

  const server = buildServer({
    context: { store, gate, effects, clock, options },
    emulator,
    faults,
    logStreams,
    logger,
    certificate,
  })
  await server.listen({ host, port })
  const { port: listening } = server.server.address() as AddressInfo
  const shownHost = host.includes(':') ? `[${host}]` : host
  endpoint = `${certificate ? 'https' : 'http'}://${shownHost}:${listening}${basePath}`
  const stopHeartbeat = startHeartbeat()

  function startHeartbeat(): () => void {
    const { heartbeatMs } = options
    if (heartbeatMs === undefined) return () => undefined
    let beat = 0
    let cancel = (): void => undefined
    const tick = (): void => {
      beat++
      for (const { agent, session } of seeds) {
        store.find(agent, session)?.console.append(`heartbeat ${beat}: agent is waiting for tickets`)
      }
      cancel = clock.after(heartbeatMs, tick)
    }
    cancel = clock.after(heartbeatMs, tick)
    return () => cancel()
  }

  async function close(): Promise<void> {
    stopHeartbeat()
    effects.close()
    faults.clear()
    logStreams.close(false)
    await server.close()
    store.close()
  }

  return emulator
}
