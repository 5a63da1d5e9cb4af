import { statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  agentDirectories,
  makeAgentDirectories,
  makeSessionDirectories,
  sessionDirectories,
  sessionKey,
} from '../../src/session/directories.ts'
import { knownAgents, knownSessions, knownSessionsOf, readAgent } from '../../src/session/known-addresses.ts'

const address = {
  endpoint: 'https://a.example/p',
  agent: 'agent',
  session: 'session',
  isolationKey: undefined,
  userIdentity: undefined,
}

void t.test('the same session has one key, whatever else differs has another', (t) => {
  const key = sessionKey(address)
  t.equal(sessionKey({ ...address, endpoint: 'https://A.example/p/' }), key)
  const others = [
    { ...address, endpoint: 'https://a.example/q' },
    { ...address, agent: 'agent2' },
    { ...address, session: 'session2' },
    { ...address, isolationKey: 'k' },
    { ...address, userIdentity: 'k' },
  ]
  t.equal(new Set([key, ...others.map(sessionKey)]).size, 6)
  t.end()
})

void t.test('directories are for their owner alone, and say whose they are', (t) => {
  const root = t.testdir()
  const roots = { stateRoot: join(root, 'state'), cacheRoot: join(root, 'cache') }
  t.same(knownSessions(roots.stateRoot), [])
  const made = makeSessionDirectories({ ...address, isolationKey: 'k' }, roots)
  t.same(made, sessionDirectories({ ...address, isolationKey: 'k' }, roots))
  for (const directory of [made.state, made.cache]) {
    t.equal(statSync(directory).mode & 0o777, 0o700)
  }
  t.same(knownSessions(roots.stateRoot), [{ ...address, isolationKey: 'k' }])
  t.end()
})

void t.test('a mount of all sessions of an agent has directories of its own, alike', (t) => {
  const root = t.testdir()
  const roots = { stateRoot: join(root, 'state'), cacheRoot: join(root, 'cache') }
  const { endpoint, isolationKey, userIdentity } = address
  const agent = { endpoint, agent: address.agent, isolationKey, userIdentity }
  t.same(knownAgents(roots.stateRoot), [])
  const made = makeAgentDirectories(agent, roots)
  t.match(made, { state: /\/state\/agents\/\w{24}$/, cache: /\/cache\/agents\/\w{24}$/ })
  t.equal(statSync(made.state).mode & 0o777, 0o700)
  t.same(readAgent(made.state), agent)
  t.equal(readAgent(root), undefined)
  t.same(knownAgents(roots.stateRoot), [agent])
  t.same(knownSessions(roots.stateRoot), [], 'it is no session')
  t.same(agentDirectories({ ...agent, endpoint: 'https://A.example/p/' }, roots), made)
  const others = [
    { endpoint: 'https://a.example/q' },
    { agent: 'agent2' },
    { isolationKey: 'k' },
    { userIdentity: 'k' },
  ]
  const states = others.map((other) => agentDirectories({ ...agent, ...other }, roots).state)
  t.equal(new Set([made.state, ...states]).size, 5)
  for (const other of [{}, { session: 'session2' }, ...others])
    makeSessionDirectories({ ...address, ...other }, roots)
  const names = knownSessionsOf(agent, roots.stateRoot).map(({ session }) => session)
  t.same(names.sort(), ['session', 'session2'])
  t.end()
})
