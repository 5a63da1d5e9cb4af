import t from 'tap'
import { ServiceError } from '../../src/client/errors.ts'
import { failedStart } from '../../src/csi/failed-start.ts'
import { readVolume } from '../../src/csi/volume-attributes.ts'
import { SessionError } from '../../src/session/session-error.ts'
import { mountCapability } from './rig.ts'

const volumeContext = {
  endpoint: 'https://account.services.ai.azure.com/api/projects/project',
  agent: 'agent',
  session: 'session-0001',
}
const { options } = readVolume({
  volumeContext,
  secrets: { token: 'a-token' },
  volumeCapability: mountCapability(),
  readonly: false,
})
const described = {
  options: options as Parameters<typeof failedStart>[1]['options'],
  pod: { namespace: 'team', name: 'worker', uid: '1', serviceAccount: 'triage' },
}
const refused = new SessionError('unauthorized', 'not signed in: `az login`', {
  cause: new ServiceError('credential', 'no token could be had', {
    cause: new Error('AADSTS70021: no match'),
  }),
})

void t.test('a token that is refused is said to be that of the secret', (t) => {
  const said = failedStart(refused, { ...described, credential: { kind: 'token' } })
  t.match(said, /^agent\/session-0001: the token .* nodePublishSecretRef .*\(AADSTS70021: no match\)$/)
  t.notMatch(said, 'az login')
  t.end()
})

void t.test('a service account that is not trusted is said by its subject', (t) => {
  const credential = { kind: 'workload', clientId: 'client', tenantId: 'tenant' } as const
  const said = failedStart(refused, { ...described, credential })
  t.match(
    said,
    /as client: .* system:serviceaccount:team:triage .* api:\/\/AzureADTokenExchange \(AADSTS70021/,
  )
  t.end()
})

void t.test('an identity that may not use the session is told where it is given', (t) => {
  const forbidden = new SessionError('forbidden', 'see --isolation-key', { cause: new Error('403') })
  const said = failedStart(forbidden, { ...described, credential: { kind: 'token' } })
  t.match(said, /isolationKey, the attribute userIdentity .*\(403\)$/)
  t.end()
})

void t.test('whatever else it is, is said as it is', (t) => {
  const other = new SessionError('unreachable', 'no answer')
  t.equal(failedStart(other, { ...described, credential: { kind: 'token' } }), 'no answer')
  t.equal(failedStart(new Error('odd'), { ...described, credential: { kind: 'token' } }), 'odd')
  t.end()
})
