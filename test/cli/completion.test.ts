/**
 * Completion in real shells at a terminal, and what it offers by itself.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { makeAgentDirectories } from '../../src/session/directories.ts'
import { startTestEmulator, type TestEmulator } from '../emulator-server.ts'
import { needs } from '../programs/installed.ts'

const root = join(import.meta.dirname, '..', '..')

interface Place {
  readonly home: string
  readonly env: NodeJS.ProcessEnv
  readonly emulator: TestEmulator
}

/** A home with `mount-session` on the PATH, and a service. */
async function place(t: Test): Promise<Place> {
  const emulator = await startTestEmulator(t)
  const home = mkdtempSync(join(tmpdir(), 'mount-session-completion-'))
  t.teardown(() => rmSync(home, { recursive: true }))
  mkdirSync(join(home, 'bin'))
  const program = join(home, 'bin', 'mount-session')
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${root}/src/cli/main.ts' "$@"\n`)
  chmodSync(program, 0o755)
  const env = {
    PATH: `${join(home, 'bin')}:${process.env['PATH'] ?? ''}`,
    ...{ HOME: home, TERM: 'xterm', PS1: '> ', LC_ALL: 'C.UTF-8' },
    FOUNDRY_PROJECT_ENDPOINT: emulator.endpoint,
    MOUNT_SESSION_TOKEN: emulator.token,
  }
  return { home, env, emulator }
}

type Step = { readonly type: string } | { readonly expect: string }

/** Types at a terminal; each step waits for what it expects. */
async function type(
  t: Test,
  { env, home }: Place,
  shell: readonly string[],
  steps: readonly Step[],
): Promise<void> {
  const child = spawn('python3', [join(import.meta.dirname, 'typing.py'), ...shell], {
    ...{ env, cwd: home },
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text))
  child.stdin.end(steps.map((step) => `${JSON.stringify(step)}\n`).join(''))
  const [code] = (await once(child, 'close')) as [number | null]
  t.equal(code, 0, complaint)
}

const typed: readonly Step[] = [
  { type: 'mount-session sta\t' },
  { expect: 'mount-session status ' },
  { type: '\u0015mount-session unmount --fo\t' },
  { expect: 'mount-session unmount --force ' },
  { type: '\u0015mount-session recover demo-agent/d\t' },
  { expect: 'mount-session recover demo-agent/demo-session-0001 ' },
  { type: '\u0015mount-session recover --export kep\t' },
  { expect: 'mount-session recover --export kept-here' },
]

void t.test('bash completes commands, options, sessions and local paths', needs('bash'), async (t) => {
  const here = await place(t)
  mkdirSync(join(here.home, 'kept-here'))
  await type(
    t,
    here,
    ['bash', '--norc', '--noprofile', '-i'],
    [{ type: 'eval "$(mount-session completion bash)"; echo re""ady\r' }, { expect: 'ready' }, ...typed],
  )
})

void t.test('zsh completes them', needs('zsh'), async (t) => {
  const here = await place(t)
  mkdirSync(join(here.home, 'kept-here'))
  await type(
    t,
    here,
    ['zsh', '-f', '-i'],
    [
      {
        type: 'autoload -Uz compinit; compinit -u; source <(mount-session completion zsh); echo re""ady\r',
      },
      { expect: 'ready' },
      ...typed,
    ],
  )
})

void t.test('fish completes them', needs('fish'), async (t) => {
  const { env, home } = await place(t)
  mkdirSync(join(home, 'kept-here'))
  const complete = async (line: string): Promise<string> => {
    const script = `mount-session completion fish | source; complete -C '${line}'`
    const { stdout } = await promisify(execFile)('fish', ['--no-config', '-c', script], { env, cwd: home })
    return stdout
  }
  t.match(await complete('mount-session sta'), /^status\twhat is waiting/)
  t.match(await complete('mount-session unmount --fo'), /^--force\t/)
  t.equal(await complete('mount-session recover demo-agent/d'), 'demo-agent/demo-session-0001\tactive\n')
  t.match(await complete('mount-session recover --export kep'), /^kept-here\//)
})

void t.test('what is offered depends on the words before', async (t) => {
  const { env, home, emulator } = await place(t)
  const offered = async (...words: readonly string[]): Promise<readonly string[]> => {
    const program = join(root, 'src/cli/main.ts')
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      [program, 'complete', '--', ...words],
      { env },
    )
    t.equal(stderr, '')
    return stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => line.split('\t')[0] ?? '')
  }
  t.strictSame(await offered('emulator', '--modified-time='), [
    ...['--modified-time=real', '--modified-time=zero'],
    ':',
  ])
  t.strictSame(await offered('-o', 'ttl=5s,sh'), ['ttl=5s,show-special', ':'])
  t.strictSame(await offered('demo-agent/demo-session-0001', 'x'), [':directory'])
  t.strictSame(await offered('demo-agent/'), ['demo-agent/demo-session-0001', ':'])
  t.strictSame(await offered('demo-agent/', '-o', 'status'), ['status=', ':nospace'])
  makeAgentDirectories(
    { endpoint: emulator.endpoint, agent: 'whole-agent', isolationKey: undefined, userIdentity: undefined },
    { stateRoot: join(home, '.local/state/mount-session'), cacheRoot: join(home, '.cache/mount-session') },
  )
  t.strictSame(await offered('whole'), ['whole-agent/', ':nospace'])
  t.strictSame(await offered('recover', 'whole'), ['whole-agent/', ':nospace'])
  t.strictSame(await offered('whole-agent/', ''), [':directory'])
  t.strictSame(await offered('unmount', '--', '--f'), [':directory'], 'after -- there are only words')
  t.strictSame(await offered('demo-agent/', '--endpoint', 'http://127.0.0.1:9/api/projects/x', ''), [
    ':directory',
  ])
  t.strictSame(
    await offered('recover', '--endpoint', 'http://127.0.0.1:9/x', 'demo-agent/'),
    [':'],
    'nobody there',
  )
  t.strictSame(await offered('nothing-of-ours', ''), [':directory'])
})
