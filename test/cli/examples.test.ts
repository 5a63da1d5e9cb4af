/**
 * The examples of every command's help, as they stand, against an emulator: what people copy has to work.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { commandRows } from '../../src/cli/table/command-list.ts'
import { startTestEmulator } from '../emulator-server.ts'
import { needs } from '../programs/installed.ts'
import { mountSessionCommand } from './command.ts'

const root = join(import.meta.dirname, '..', '..')
const seed = { agent: 'triage', session: 'demo-session' }

/** What only the shell that it is for can run. */
function shellOf(line: string): string {
  return line.includes('fish') ? 'fish' : line.includes('zsh') ? 'zsh' : 'bash'
}

/** Goes on until it is interrupted, and then ends well. */
function isEndless(line: string): boolean {
  return /mount-session (emulator|csi)| -f\b|--follow|--watch/.test(line)
}

/** A directory with what the examples name, a home, and the program on the PATH. */
function workplace(t: Test): { readonly directory: string; readonly home: string; readonly bin: string } {
  const base = mkdtempSync(join(tmpdir(), 'mount-session-examples-'))
  t.teardown(() => rmSync(base, { recursive: true }))
  const [directory, home, bin] = ['work', 'home', 'bin'].map((name) => join(base, name)) as [
    string,
    string,
    string,
  ]
  for (const made of [directory, home, bin, join(directory, 'inputs', 'more'), join(directory, 's')])
    mkdirSync(made, { recursive: true })
  writeFileSync(
    join(bin, 'mount-session'),
    `#!/bin/sh\nexec '${process.execPath}' '${root}/src/cli/main.ts' "$@"\n`,
  )
  chmodSync(join(bin, 'mount-session'), 0o755)
  writeFileSync(join(directory, 'inputs', 'tickets.csv'), 'id,subject\n')
  writeFileSync(join(directory, 'inputs', 'more', 'notes.txt'), 'notes\n')
  writeFileSync(
    join(directory, 'patch.json'),
    JSON.stringify({ agent_card: { version: '1', description: 'sorts tickets', skills: [] } }),
  )
  return { directory, home, bin }
}

async function runExample(t: Test, line: string): Promise<void> {
  const emulator = await startTestEmulator(t, { seed: [seed], seedFiles: true })
  emulator.appendLog(seed.agent, seed.session, 'said by the agent')
  const { directory, home, bin } = workplace(t)
  const mounted = join(directory, 's')
  const service = { FOUNDRY_PROJECT_ENDPOINT: emulator.endpoint, MOUNT_SESSION_TOKEN: emulator.token }
  const isMounted = /\/mnt\/s\b/.test(line) && !line.includes('--mount')
  if (isMounted)
    t.match(await mountSessionCommand(home, [`${seed.agent}/${seed.session}`, mounted], service), {
      code: 0,
      stderr: '',
    })
  /* as its help says */
  const before = line.includes('zsh') ? 'autoload -Uz compinit; compinit -u; ' : ''
  const child = spawn(shellOf(line), ['-c', before + line.replaceAll('/mnt/s', mounted)], {
    cwd: directory,
    env: { PATH: `${bin}:${process.env['PATH'] ?? ''}`, HOME: home, ...service },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let complaint = ''
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text))
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (said === '' && isEndless(line)) process.kill(-(child.pid ?? 0), 'SIGINT')
    said += text
  })
  const [code] = (await once(child, 'close')) as [number | null]
  if (line.includes('/mnt/s')) await mountSessionCommand(home, ['unmount', '--force', mounted])
  t.equal(code, 0, `${said}${complaint}`)
}

function neededFor(name: string, line: string): ReturnType<typeof needs> {
  const isForRoot = name === 'csi' && process.getuid?.() !== 0
  return isForRoot ? { skip: 'the driver runs as root' } : needs(shellOf(line))
}

for (const [name, { examples }] of commandRows) {
  for (const { line } of examples)
    void t.test(`${name}: ${line}`, neededFor(name, line), (t) => runExample(t, line))
}
