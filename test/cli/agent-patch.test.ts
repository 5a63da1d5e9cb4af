/* `mount-session agent patch` as a user runs it, against the emulator. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { agent, startTestEmulator, type TestEmulator } from '../emulator-server.ts'
import { mountSessionCommand, type Outcome } from './command.ts'
import { compileCache } from '../compile-cache.ts'

interface Rig {
  readonly emulator: TestEmulator
  readonly file: string
  /** `agent patch` of this patch, in a file. */
  readonly patch: (patch: unknown, ...flags: readonly string[]) => Promise<Outcome>
  /** The same, with any words, and this on stdin. */
  readonly piped: (input: string, ...words: readonly string[]) => Promise<Outcome>
}

async function start(t: Test): Promise<Rig> {
  const emulator = await startTestEmulator(t)
  const home = t.testdir({ home: {} })
  const file = join(home, 'patch.json')
  const env = { FOUNDRY_PROJECT_ENDPOINT: emulator.endpoint, MOUNT_SESSION_TOKEN: emulator.token }
  return {
    ...{ emulator, file },
    patch: (patch, ...flags) => {
      writeFileSync(file, typeof patch === 'string' ? patch : JSON.stringify(patch))
      return mountSessionCommand(home, ['agent', 'patch', agent, '--file', file, ...flags], env)
    },
    piped: async (input, ...words) => {
      const main = join(import.meta.dirname, '../../src/cli/main.ts')
      const child = spawn(process.execPath, [main, ...words], {
        env: { PATH: process.env['PATH'], ...compileCache, HOME: home, ...env },
        stdio: ['pipe', 'pipe', 'pipe'],
      })
      child.stdin.end(input)
      const [stdout, stderr] = await Promise.all([
        text(child.stdout),
        text(child.stderr),
        once(child, 'close'),
      ])
      return { code: child.exitCode, stdout, stderr }
    },
  }
}

const card = { version: '1', description: 'sorts tickets', skills: [] }

void t.test('a patch is sent, and what it changes is shown', async (t) => {
  const { patch, emulator } = await start(t)
  t.same(await patch({ agent_card: card }), {
    ...{ code: 0, stderr: '' },
    stdout: 'agent_card.version: "1"\nagent_card.description: "sorts tickets"\nagent_card.skills: []\n',
  })
  const json = await patch({ agent_card: { description: null } }, '--json')
  t.match(JSON.parse(json.stdout), {
    ...{ agent, sent: true, changes: [{ path: 'agent_card.description', removed: true }] },
    agentResource: { name: agent, agent_card: { version: '1', description: undefined, skills: [] } },
  })
  t.equal(emulator.counts().patchAgent, 2)
})

void t.test('with --dry-run it is checked and shown, and nothing is sent', async (t) => {
  const { patch, piped, emulator } = await start(t)
  t.same(await patch({ agent_endpoint: { protocols: null } }, '--dry-run'), {
    ...{ code: 0, stdout: 'agent_endpoint.protocols: removed\n', stderr: 'nothing was sent\n' },
  })
  const words = ['agent', 'patch', agent, '--file', '-', '--dry-run', '--json']
  t.same(JSON.parse((await piped(JSON.stringify({ agent_card: null }), ...words)).stdout), {
    ...{ agent, sent: false, changes: [{ path: 'agent_card', removed: true }], agentResource: null },
  })
  t.match(await patch({ agent_card: {}, nonsense: 1 }, '--dry-run'), { code: 1, stdout: '' })
  t.equal(emulator.counts().patchAgent, 0)
})

void t.test('a patch that cannot be meant is not sent; every mistake is told with its place', async (t) => {
  const { patch, piped, emulator, file } = await start(t)
  const bad = { agent_card: { descripton: 'x' }, agent_endpoint: { protocols: ['http'] } }
  t.same(await patch(bad), {
    ...{ code: 1, stdout: '' },
    stderr:
      `mount-session: ${file} is no patch of an agent; nothing was sent:\n` +
      '  agent_endpoint.protocols[0]: must be one of activity, responses, a2a, mcp, invocations, invocations_ws\n' +
      '  agent_card.descripton: there is no such member, only version, description, skills\n',
  })
  t.match(await piped('{', 'agent', 'patch', agent, '--file', '-'), {
    ...{ code: 1, stderr: /^mount-session: stdin: it must be JSON: .*\n$/ },
  })
  t.match(await piped('', 'agent', 'patch', agent, '--file', 'not-there.json'), {
    ...{ code: 1, stderr: /^mount-session: ENOENT.*not-there.json'\n$/ },
  })
  t.match(await piped('', 'agent', 'patch', agent), { code: 2, stderr: /--file <FILE>' not specified/ })
  t.match(await piped('', 'agent', 'patch', 'a/b', '--file', file), { code: 2 })
  t.equal(emulator.counts().patchAgent, 0)
})

void t.test('what the service refuses, an agent that is not there, a service that is not', async (t) => {
  const { patch, piped, file } = await start(t)
  t.match(await patch({ agent_card: { description: 'of no card' } }), {
    ...{ code: 1, stdout: '', stderr: /^mount-session: patch agent demo-agent: 400 .*agent_card.*\n$/ },
  })
  writeFileSync(file, JSON.stringify({ agent_card: card }))
  t.match(await piped('', 'agent', 'patch', 'nobody', '--file', file), {
    ...{ code: 1, stdout: '', stderr: /^mount-session: nobody: no such agent at / },
  })
  t.match(await patch({ agent_card: card }, '--endpoint', 'http://127.0.0.1:9/api/projects/p'), {
    ...{ code: 1, stdout: '', stderr: /the connection failed \(ECONNREFUSED\)\n$/ },
  })
})

void t.test('a service that is busy is asked again', async (t) => {
  const { patch, emulator } = await start(t)
  emulator.fault({ kind: 'status', status: 503, retryAfter: 0, verb: 'patchAgent', times: 2 })
  t.match(await patch({ agent_card: card }), { code: 0, stderr: '' })
})

void t.test('an answer that did not come leaves the end open, and it says so', async (t) => {
  const { patch, emulator } = await start(t)
  emulator.fault({ kind: 'reset', when: 'after-commit', verb: 'patchAgent', times: 1 })
  t.match(await patch({ agent_card: card }), {
    ...{ code: 1, stdout: '', stderr: /may be patched all the same: the same patch again does no harm/ },
  })
  t.match(await patch({ agent_card: card }), { code: 0, stderr: '' })
})
