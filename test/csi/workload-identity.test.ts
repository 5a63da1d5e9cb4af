/**
 * The daemon of a volume signs in as the Pod's service account: what the kubelet gave goes to Entra, and what it gives
 * later does the next time.
 */
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { loadCertificate } from '../../src/emulator/certificate.ts'
import { startTestEmulator } from '../emulator-server.ts'
import { Node, rootWithFuse } from './node-rig.ts'
import { temporaryDirectory } from './rig.ts'

/* only of this kind of tenant the library asks nobody else whether there is such a host */
const tenantId = 'adfs'

interface TokenService {
  readonly origin: string
  readonly caFile: string
  /** What it was asked with. */
  readonly asked: URLSearchParams[]
}

/** Issues `token` for a second. */
async function tokenService(t: Test, token: () => string): Promise<TokenService> {
  const { cert, key, path } = await loadCertificate(temporaryDirectory(t))
  const asked: URLSearchParams[] = []
  const server = createServer({ cert, key }, (request, response) => {
    let text = ''
    request.setEncoding('utf8').on('data', (part: string) => (text += part))
    request.on('end', () => {
      const isToken = request.url?.includes('/token') === true
      if (isToken) asked.push(new URLSearchParams(text))
      const body = isToken
        ? { token_type: 'Bearer', expires_in: 1, access_token: token() }
        : {
            issuer: `${origin}/adfs`,
            authorization_endpoint: `${origin}/adfs/oauth2/authorize`,
            token_endpoint: `${origin}/adfs/oauth2/token`,
            jwks_uri: `${origin}/adfs/keys`,
          }
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { origin, caFile: path, asked }
}

void t.test(
  'what the kubelet gives is exchanged, and what it gives anew is used next',
  rootWithFuse,
  async (t) => {
    const emulator = await startTestEmulator(t)
    const entra = await tokenService(t, () => emulator.token)
    const node = new Node(t, emulator, ['--ca-file', entra.caFile])
    node.environment['AZURE_AUTHORITY_HOST'] = entra.origin
    await node.startDriver()
    const asked = { pod: 'one', attributes: { clientId: 'the-application', tenantId } }
    t.strictSame(await node.publish({ ...asked, assertion: 'the-first-assertion' }), {})
    await node.run('one', 'echo x > file && sync file')
    t.match(Object.fromEntries(entra.asked[0] ?? []), {
      client_id: 'the-application',
      client_assertion: 'the-first-assertion',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    })
    t.strictSame(await node.publish({ ...asked, assertion: 'the-second-assertion' }), {})
    const isReadAnew = (): boolean => entra.asked.at(-1)?.get('client_assertion') === 'the-second-assertion'
    /* the token that is there is used until its second is over */
    for (let round = 0; !isReadAnew() && round < 100; round++)
      await node.run('one', `echo ${round} > file && sync file`)
    t.ok(isReadAnew(), 'the assertion is read anew')
    t.notMatch(node.log(), /the-(first|second)-assertion/)
    t.equal(node.daemons().length, 1)
    t.strictSame(await node.unpublish('one'), {})
  },
)
