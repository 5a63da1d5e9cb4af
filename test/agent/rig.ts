/**
 * All sessions of an agent, mounted by the real command line over an emulator in this process. Layer: tests.
 *
 * Invariant: as in `test/mount/rig.ts`; nothing here goes into a session unless a test says so, since that opens it.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { SessionReport } from '../../src/control/protocol.ts'
import type { CountedVerb } from '../../src/emulator/emulator.ts'
import { agent, type TestEmulator } from '../emulator-server.ts'
import type { Ended, ProgramOptions } from '../mount/programs.ts'
import { describe, type MountedEmulator, mountEmulator, type MountOptions } from '../mount/rig.ts'
import { type Outliving, mountOutliving } from '../outlives/rig.ts'

export { agent }
export const one = 'session-one-0001'
export const other = 'session-other-0001'

export interface AgentOptions extends MountOptions {
  /** Those of the agent at the start; default `one` and `other`. */
  readonly sessions?: readonly string[]
}

/** What a mount of all sessions adds. */
export interface AtTop {
  /** Runs a shell script at the top, which stops at its first failure; rejects unless it exits with 0; its output. */
  readonly top: (script: string, options?: ProgramOptions) => Promise<string>
  /** As `top`, whatever it exits with. */
  readonly tryTop: (script: string, options?: ProgramOptions) => Promise<Ended>
  /** What the service has of a session. */
  readonly home: (session: string) => string
  /** What the status says of it; undefined: nobody has gone into it. */
  readonly report: (session: string) => Promise<SessionReport | undefined>
}

export async function mountAgent(t: Test, options: AgentOptions = {}): Promise<MountedEmulator & AtTop> {
  const mounted = await mountEmulator(t, optionsOf(options))
  return { ...mounted, ...topOf(mounted) }
}

/** The same with a daemon that comes back when it is killed. */
export async function mountOutlivingAgent(t: Test, options: AgentOptions = {}): Promise<Outliving & AtTop> {
  const mounted = await mountOutliving(t, optionsOf(options))
  return { ...mounted, ...topOf(mounted) }
}

function optionsOf({ sessions = [one, other], ...options }: AgentOptions): MountOptions {
  const seed = sessions.map((session) => ({ agent, session }))
  return { whole: true, ...options, emulator: { seed, ...options.emulator } }
}

function topOf(mounted: MountedEmulator): AtTop {
  const tryTop: AtTop['tryTop'] = (script, options) =>
    mounted.start('bash', ['-c', `set -euo pipefail\ncd "$1"\n${script}`, 'bash', mounted.mountedAt], {
      env: mounted.env,
      onLimit: mounted.abort,
      ...options,
    }).ended
  return {
    tryTop,
    top: async (script, options) => {
      const ended = await tryTop(script, options)
      if (ended.code !== 0) throw new Error(`${script}\n${describe(ended)}`)
      return ended.stdout
    },
    home: (session) => mounted.emulator.filesDirectory(agent, session),
    report: async (session) => (await mounted.status()).sessions?.find((each) => each.session === session),
  }
}

/** Calls of the service so far; verbs with none are left out. */
export function countsOf(emulator: TestEmulator): Partial<Record<CountedVerb, number>> {
  return Object.fromEntries(Object.entries(emulator.counts()).filter(([, count]) => count > 0))
}

/** What a file of a session is on the service; undefined: nothing. */
export function bytesOf({ home }: AtTop, session: string, path: string): string | undefined {
  const file = join(home(session), path)
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : undefined
}

/** Asks the service as whoever is not the mount. */
export async function makeSession(
  { endpoint, token }: TestEmulator,
  session: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  const answer = await fetch(`${endpoint}/agents/${agent}/endpoint/sessions?api-version=v1`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ agent_session_id: session }),
  })
  if (!answer.ok) throw new Error(await answer.text())
}
