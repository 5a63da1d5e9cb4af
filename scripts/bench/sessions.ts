/**
 * `--sessions`: what a mount of all sessions of an agent takes: time and requests to list them, memory and descriptors
 * of the daemon as more of them are gone into. Layer: benchmark.
 *
 * Invariant: mounted as a user does; the service is on this machine. The daemon alone is measured, by the kernel's own
 * account.
 */
import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { StatusReport } from '../../src/control/protocol.ts'
import { unmount } from './mount-points.ts'
import { Background } from './processes.ts'
import { table } from './results.ts'

export interface SessionsOptions {
  readonly directory: string
  readonly onProgress: (line: string) => void
}

const program = join(import.meta.dirname, '..', 'mount-session')
const agent = 'bench'
const sessions = 200
const filesEach = 100

const steps: readonly (readonly [what: string, script: string])[] = [
  ['ls -l of the agent', 'ls -l . >/dev/null'],
  ['ls -lR of 1 session', 'ls -lR session-0001 >/dev/null'],
  ['ls -lR of 20 more', 'for n in $(seq 2 21); do ls -lR session-$(printf %04d $n) >/dev/null; done'],
  ['cat of all files of the 21', 'for n in $(seq 21); do cat session-$(printf %04d $n)/* >/dev/null; done'],
  ['ls of all 200', 'for s in *; do ls $s >/dev/null; done'],
]

const run = promisify(execFile)

/** Lines of Markdown. */
export async function measureSessions({ directory, onProgress }: SessionsOptions): Promise<string[]> {
  const names = Array.from({ length: sessions }, (_, at) => `session-${String(at + 1).padStart(4, '0')}`)
  const data = join(directory, 'data')
  const emulator = new Background({
    directory,
    name: 'emulator',
    command: [
      program,
      ...['emulator', '--data', data, '--token', 'benchmark', '--empty', '--json'],
      ...names.flatMap((name) => ['--seed', `${agent}/${name}`]),
    ],
  })
  const endpoint = await emulator.until(
    'listening',
    () => /"endpoint":"([^"]+)"/.exec(emulator.output())?.[1],
  )
  for (const name of names) {
    const home = join(data, 'agents', agent, 'sessions', name, 'home')
    for (let at = 0; at < filesEach; at++) writeFileSync(join(home, `file-${at}`), 'x'.repeat(1000))
  }
  const mountPoint = join(directory, 'mount')
  mkdirSync(mountPoint)
  const env = {
    ...process.env,
    FOUNDRY_PROJECT_ENDPOINT: endpoint,
    MOUNT_SESSION_TOKEN: 'benchmark',
    XDG_STATE_HOME: join(directory, 'state'),
    XDG_CACHE_HOME: join(directory, 'cache'),
  }
  await run(program, ['--ttl', '900', `${agent}/`, mountPoint], { env })
  const status = async (): Promise<StatusReport> => {
    const { stdout } = await run(program, ['status', '--json', mountPoint], { env, maxBuffer: 100_000_000 })
    return JSON.parse(stdout) as StatusReport
  }
  try {
    const { pid } = await status()
    const rows: string[][] = []
    const note = async (what: string, ms: number): Promise<void> => {
      const { calls, sessions: gone = [] } = await status()
      const asked = Object.values(calls).reduce((sum, of) => sum + sumOf(of), 0)
      const open = gone.filter(({ state }) => state === 'open').length
      const seconds = (ms / 1000).toFixed(2)
      rows.push([what, seconds, String(asked), String(open), residentMb(pid), descriptorsOf(pid)])
    }
    await note('the start', 0)
    for (const [what, script] of steps) {
      onProgress(what)
      const since = performance.now()
      await run('bash', ['-c', `set -e; ${script}`], { cwd: mountPoint })
      await note(what, performance.now() - since)
    }
    return [
      `- our mount of an agent with ${sessions} sessions of ${filesEach} files each, defaults and \`--ttl 900\`; no link`,
      '',
      'One after the other; calls so far, sessions that are open, and what the daemon holds then.',
      '',
      table(['after', 'seconds', 'calls', 'open', 'resident MB', 'descriptors'], rows),
    ]
  } finally {
    await unmount(mountPoint)
    await emulator.stop()
  }
}

const sumOf = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((sum, count) => sum + count, 0)

function residentMb(pid: number): string {
  const [, kilobytes = '0'] = /^Rss: +(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')) ?? []
  return ((Number(kilobytes) * 1024) / 1e6).toFixed(0)
}

function descriptorsOf(pid: number): string {
  return String(readdirSync(`/proc/${pid}/fd`).length)
}
