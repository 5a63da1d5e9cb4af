/** The first SDK with sessions: it requires an isolation key to create and delete, and sends it nowhere else. */

import { AIProjectClient } from 'ai-projects-2.1.1'
import t from 'tap'
import { agent } from '../emulator-server.ts'
import { collect, failure, startTrustedEmulator } from './trusted-emulator.ts'

const version = { type: 'version_ref', agent_version: '1' } as const

void t.test('the isolation key of a session opens it for deletion, another does not', async (t) => {
  const emulator = await startTrustedEmulator(t)
  const { agents } = new AIProjectClient(emulator.endpoint, emulator.credential).beta
  const { agent_session_id: id } = await agents.createSession(agent, 'alice', version)
  t.equal((await agents.getSession(agent, id)).status, 'active')

  await agents.uploadSessionFile(agent, id, 'notes/today.txt', Buffer.from('hello'))
  t.match(await agents.listSessionFiles(agent, id, 'notes'), {
    path: 'notes',
    entries: [{ name: 'today.txt', size: 5, is_directory: false }],
  })
  const download = await agents.downloadSessionFile(agent, id, 'notes/today.txt')
  t.equal((await collect(download.readableStreamBody)).toString(), 'hello')
  await agents.deleteSessionFile(agent, id, 'notes/today.txt')

  await t.rejects(agents.deleteSession(agent, id, 'bob'), failure(404))
  t.equal((await agents.getSession(agent, id)).status, 'active', 'still there')
  await agents.deleteSession(agent, id, 'alice')
  await t.rejects(agents.getSession(agent, id), failure(404))
})

void t.test('an endpoint that takes its key from the header wants it everywhere', async (t) => {
  const emulator = await startTrustedEmulator(t)
  const { agents } = new AIProjectClient(emulator.endpoint, emulator.credential).beta
  await agents.patchAgent(agent, {
    agentEndpoint: { authorization_schemes: [{ type: 'Entra', isolation_key_source: { kind: 'Header' } }] },
  })
  const { agent_session_id: id } = await agents.createSession(agent, 'alice', version)
  await t.rejects(agents.getSession(agent, id), failure(404))
  const headers = { 'x-session-isolation-key': 'alice' }
  t.equal((await agents.getSession(agent, id, { requestOptions: { headers } })).status, 'active')
  const listed = []
  for await (const each of agents.listSessions(agent)) listed.push(each.agent_session_id)
  t.notOk(listed.includes(id), 'and lists only what the caller may use')
})
