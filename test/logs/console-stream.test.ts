import t from 'tap'
import { SessionClient } from '../../src/client/session-client.ts'
import { consoleStream } from '../../src/logs/console-stream.ts'
import { agent, session, startTestEmulator } from '../emulator-server.ts'

void t.test('the documented form is asked for first, and the other where it is unknown', async (t) => {
  const emulator = await startTestEmulator(t)
  const client = new SessionClient({ endpoint: emulator.endpoint, credential: { token: emulator.token } })
  t.teardown(() => client.close())
  const ending = new AbortController()
  t.teardown(() => ending.abort())
  const open = consoleStream(client, { agent, session, agentVersion: '1' })
  t.equal((await open(ending.signal)).status, 200)
  emulator.fault({ verb: 'logStream', kind: 'status', status: 405, times: 1 })
  t.equal((await open(ending.signal)).status, 200)
  t.equal((await open(ending.signal)).status, 200)
  t.same(
    emulator
      .calls()
      .filter(({ verb }) => verb === 'logStream')
      .map(({ status }) => status),
    [200, 405, 200, 200],
  )
})
