import t from 'tap'
import { ServiceError, type ServiceErrorCode } from '../../src/client/errors.ts'
import { SessionClient } from '../../src/client/session-client.ts'
import { asSessionError, checkSameSession, checkSession } from '../../src/session/connect.ts'
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
    message:
      /no such agent or session at http.*\(it may have been deleted, or need its --isolation-key\); `mount-session session list [a-z-]+` lists those there are$/,
  })
  t.match(await told('bob'), {
    code: 'unknownSession',
    message:
      /\(it may have been deleted, or have another --isolation-key than the given one\); `mount-session session list [a-z-]+` lists those there are$/,
  })
  t.equal(await told('alice'), undefined)
})

const address = {
  endpoint: 'https://x.test/p',
  agent: 'a',
  session: 's',
  isolationKey: undefined,
  userIdentity: undefined,
}

void t.test('each way in which the first call fails is told by its own words', (t) => {
  const told = (code: ServiceErrorCode): unknown => asSessionError(new ServiceError(code, 'said'), address)
  t.match(told('unauthorized'), { code: 'unauthorized', message: 'az login' })
  t.match(told('credential'), { code: 'unauthorized', message: '(said)' })
  t.match(told('forbidden'), { code: 'forbidden', message: '--user-identity' })
  t.match(told('not_found'), { code: 'unknownSession', message: 'https://x.test/p' })
  t.match(told('insecure_endpoint'), { code: 'insecureEndpoint', message: 'said' })
  t.match(told('bad_request'), { code: 'badOptions', message: 'said' })
  t.match(told('network'), { code: 'unreachable', message: 'https://x.test/p: said' })
  const other = new TypeError('a fault of this program')
  t.equal(asSessionError(other, address), other)
  t.end()
})

void t.test(
  'a session that was made again under its name is not taken for the one that was mounted',
  async (t) => {
    const { endpoint, token, target } = await startTestEmulator(t)
    const client = new SessionClient({ endpoint, credential: { token } })
    t.teardown(() => client.close())
    const [, session = ''] = target.split('/')
    const here = { ...address, endpoint, agent, session }
    const { createdAtMs } = await checkSession(client, here, undefined)
    const { signal } = new AbortController()
    await checkSameSession(client, here, createdAtMs, signal)
    await t.rejects(checkSameSession(client, here, createdAtMs - 1000, signal), { code: 'session_not_found' })
  },
)
