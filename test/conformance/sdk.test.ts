/** Every operation on sessions and their files, by the official SDK as it is now. */

import { AIProjectClient } from '@azure/ai-projects'
import t, { type Test } from 'tap'
import { agent, files, session } from '../emulator-server.ts'
import { collect, failure, startTrustedEmulator } from './trusted-emulator.ts'

const version = { type: 'version_ref', agent_version: '1' } as const

async function start(test: Test): Promise<{
  emulator: Awaited<ReturnType<typeof startTrustedEmulator>>
  agents: AIProjectClient['agents']
}> {
  const emulator = await startTrustedEmulator(test)
  const { agents } = new AIProjectClient(emulator.endpoint, emulator.credential)
  return { emulator, agents }
}

void t.test('a session is created, got, listed, stopped and deleted', async (t) => {
  const { emulator, agents } = await start(t)
  const created = await agents.createSession(agent, version, { agentSessionId: 'chosen-by-me' })
  t.match(created, { agent_session_id: 'chosen-by-me', status: 'active', version_indicator: version })
  t.equal(created.expires_at.getTime() - created.created_at.getTime(), 30 * 24 * 3600 * 1000)
  t.same(await agents.getSession(agent, 'chosen-by-me'), created)

  const unnamed = await agents.createSession(agent, version)
  t.match(unnamed.agent_session_id, /^[0-9a-f]{16}00[0-9A-Za-z]{32}$/)

  const listed = []
  for await (const each of agents.listSessions(agent, { limit: 1 })) listed.push(each.agent_session_id)
  t.same(new Set(listed), new Set([session, 'chosen-by-me', unnamed.agent_session_id]))
  t.equal(emulator.counts().listSessions, 3, 'one request a page')

  await agents.stopSession(agent, 'chosen-by-me')
  const stopped = await agents.getSession(agent, 'chosen-by-me')
  t.equal(stopped.status, 'idle')
  t.ok(stopped.stopped_at)
  await t.rejects(agents.stopSession(agent, 'chosen-by-me'), failure(409, 'session_already_stopped'))

  await agents.deleteSession(agent, 'chosen-by-me')
  await agents.deleteSession(agent, 'chosen-by-me')
  await t.rejects(agents.getSession(agent, 'chosen-by-me'), failure(404, 'session_not_found'))
  await t.rejects(agents.createSession(agent, version, { agentSessionId: session }), failure(409))
})

void t.test('sessions can be deleted while they are listed', async (t) => {
  const { emulator, agents } = await start(t)
  for (let index = 0; index < 44; index++) await agents.createSession(agent, version)
  let seen = 0
  for await (const each of agents.listSessions(agent)) {
    seen++
    await agents.deleteSession(agent, each.agent_session_id)
  }
  t.equal(seen, 45)
  t.equal(emulator.counts().listSessions, 3, 'pages of 20')
})

void t.test('a file is uploaded, listed, downloaded and deleted', async (t) => {
  const { emulator, agents } = await start(t)
  const content = Buffer.from('Hello from the sandbox.\n')
  const written = await agents.uploadSessionFile(agent, session, '/sandbox/hello.txt', content)
  t.match(written, { path: 'sandbox/hello.txt', bytes_written: content.length })
  t.same(files(emulator), { sandbox: null, 'sandbox/hello.txt': content })

  const entries = []
  for await (const entry of agents.listSessionFiles(agent, session, { path: '/sandbox' })) entries.push(entry)
  t.match(entries, [{ name: 'hello.txt', size: content.length, is_directory: false }])
  t.equal(entries[0]?.modified_time.getTime(), 0)

  const download = await agents.downloadSessionFile(agent, session, '/sandbox/hello.txt')
  t.same(await collect(download.readableStreamBody), content)

  await t.rejects(agents.deleteSessionFile(agent, session, '/sandbox'), failure(409))
  await agents.deleteSessionFile(agent, session, '/sandbox', { recursive: true })
  t.same(files(emulator), {})
  await t.rejects(agents.deleteSessionFile(agent, session, '/sandbox'), failure(404))
})

void t.test('names that need care survive the round trip', async (t) => {
  const { emulator, agents } = await start(t)
  const names = [
    'a b',
    'a+b',
    '100%',
    'a%20b',
    '#?&=',
    `it's "quoted"`,
    'new\nline',
    '🙂',
    'é',
    '*()!',
    'x'.repeat(255),
  ]
  for (const name of names) await agents.uploadSessionFile(agent, session, `dir/${name}`, Buffer.from(name))
  t.same(Object.keys(files(emulator)).sort(), ['dir', ...names.map((name) => `dir/${name}`)].sort())
  const listed = []
  for await (const { name } of agents.listSessionFiles(agent, session, { path: 'dir', limit: 3 }))
    listed.push(name)
  t.same(listed.sort(), [...names].sort())
  for (const name of names) {
    const { readableStreamBody } = await agents.downloadSessionFile(agent, session, `dir/${name}`)
    t.equal((await collect(readableStreamBody)).toString(), name)
  }
})

void t.test('a listing is followed over its pages', async (t) => {
  const { emulator, agents } = await start(t)
  const names = Array.from({ length: 45 }, (_, index) => `file-${String(index).padStart(2, '0')}`)
  for (const name of names) await agents.uploadSessionFile(agent, session, name, Buffer.alloc(0))
  const listed = []
  for await (const { name } of agents.listSessionFiles(agent, session)) listed.push(name)
  t.same(listed, names)
  t.equal(emulator.counts().list, 3, 'pages of 20')
})

void t.test('files can be deleted while they are listed', async (t) => {
  const { agents } = await start(t)
  for (let index = 0; index < 45; index++)
    await agents.uploadSessionFile(agent, session, `file-${index}`, Buffer.alloc(0))
  let seen = 0
  for await (const { name } of agents.listSessionFiles(agent, session)) {
    seen++
    await agents.deleteSessionFile(agent, session, name)
  }
  t.equal(seen, 45)
})

void t.test(
  'agents and their versions are listed and got, and a session gets the version it asks for',
  async (t) => {
    const { agents } = await start(t)
    const definition = { kind: 'hosted', cpu: '1', memory: '2Gi' } as const
    t.match(await agents.createVersion(agent, definition), { name: agent, version: '2', definition })
    t.match(await agents.get(agent), { name: agent, versions: { latest: { version: '2' } } })
    t.match(await agents.getVersion(agent, '1'), { name: agent, version: '1' })
    const listed = []
    for await (const each of agents.listVersions(agent, { limit: 1 })) listed.push(each.version)
    t.same(listed, ['1', '2'])
    const names = []
    for await (const each of agents.list()) names.push(each.name)
    t.same(names, [agent])
    const second = { type: 'version_ref', agent_version: '2' } as const
    t.match(await agents.createSession(agent, second), { version_indicator: second })
    const third = { type: 'version_ref', agent_version: '3' } as const
    await t.rejects(agents.createSession(agent, third), failure(404))
  },
)

void t.test('an agent is patched', async (t) => {
  const { agents } = await start(t)
  const patched = await agents.updateAgent(agent, {
    agentEndpoint: {
      version_selector: {
        version_selection_rules: [{ type: 'FixedRatio', agent_version: '1', traffic_percentage: 100 }],
      },
      authorization_schemes: [{ type: 'Entra' }],
    },
    agentCard: { version: '1.0', skills: [{ id: 'triage', name: 'Triage' }] },
  })
  t.match(patched, {
    name: agent,
    agent_card: { version: '1.0', skills: [{ id: 'triage' }] },
    agent_endpoint: { authorization_schemes: [{ type: 'Entra' }] },
  })
  await t.rejects(agents.updateAgent('no-such-agent', {}), failure(404))
  const tooMuch = { type: 'FixedRatio', agent_version: '1', traffic_percentage: 500 } as const
  const agentEndpoint = { version_selector: { version_selection_rules: [tooMuch] } }
  await t.rejects(agents.updateAgent(agent, { agentEndpoint }), failure(400))
})

void t.test('the console is streamed', { timeout: 20_000 }, async (t) => {
  const { emulator, agents } = await start(t)
  emulator.appendLog(agent, session, 'before')
  const { readableStreamBody } = await agents.getSessionLogStream(agent, '1', session)
  let text = ''
  for await (const chunk of readableStreamBody!) {
    const isFirst = text === ''
    text += String(chunk)
    if (isFirst) emulator.appendLog(agent, session, 'after', 'stderr')
    if (text.includes('"after"')) break
  }
  const payloads = [...text.matchAll(/^event: log\ndata: (.*)\n\n/gm)].map(
    ([, data]) => JSON.parse(data!) as object,
  )
  t.match(payloads, [
    { session_id: session, session_state: 'Running', agent },
    { stream: 'status' },
    { stream: 'status' },
    { stream: 'stdout', message: 'before' },
    { stream: 'stderr', message: 'after' },
  ])
})
