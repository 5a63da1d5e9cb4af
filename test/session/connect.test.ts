import t from 'tap'
import { SessionClient } from '../../src/client/session-client.ts'
import { asSessionError } from '../../src/session/connect.ts'
import { agent, startTestEmulator } from '../emulator-server.ts'

void t.test('a session that is not shown without its isolation key hints at the option', async (t) => {
  const { endpoint, token } = await startTestEmulator(t)
  const client = new SessionClient({ endpoint, credential: { token } })
  t.teardown(() => client.close())
  await client.patchAgent(agent, {
    agentEndpoint: { authorizationSchemes: [{ type: 'Entra', isolationKeySource: { kind: 'Header' } }] },
  })
  const { sessionId: session } = await client.createSession(agent, {}, { isolationKey: 'alice' })
  const told = async (isolationKey: string | undefined): Promise<unknown> => {
    const address = { endpoint, agent, session, isolationKey, userIdentity: undefined }
    const failed = client.getSession(agent, session, { isolationKey }).then(() => undefined)
    return await failed.catch((error: unknown) => asSessionError(error, address))
  }
  t.match(await told(undefined), {
    code: 'unknownSession',
    message: /no such agent or session at http.*\(it may have been deleted, or need its --isolation-key\)$/,
  })
  t.match(await told('bob'), {
    code: 'unknownSession',
    message: /\(it may have been deleted, or have another --isolation-key than the given one\)$/,
  })
  t.equal(await told('alice'), undefined)
})
