import { statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  knownSessions,
  makeSessionDirectories,
  sessionDirectories,
  sessionKey,
} from '../../src/session/directories.ts'

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
