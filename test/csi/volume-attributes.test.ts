import t, { type Test } from 'tap'
import {
  checkAttributes,
  differingOption,
  readVolume,
  tokenAudience,
  type VolumeRequest,
  type VolumeSpec,
} from '../../src/csi/volume-attributes.ts'
import { type OptionName, optionRows } from '../../src/options/table.ts'
import { mountCapability } from './rig.ts'

const usual = {
  endpoint: 'https://account.services.ai.azure.com/api/projects/project/',
  agent: 'agent',
  session: 'session-0001',
}

function request(
  attributes: Readonly<Record<string, string | undefined>> = {},
  change: Partial<VolumeRequest> = {},
): VolumeRequest {
  const all: Readonly<Record<string, string | undefined>> = { ...usual, ...attributes }
  const given = Object.entries(all).flatMap(([name, text]) => (text === undefined ? [] : [[name, text]]))
  return {
    volumeContext: Object.fromEntries(given) as Record<string, string>,
    secrets: { token: 'a-token' },
    volumeCapability: mountCapability(),
    readonly: false,
    ...change,
  }
}

function read(
  attributes?: Readonly<Record<string, string | undefined>>,
  change?: Partial<VolumeRequest>,
): VolumeSpec {
  return readVolume(request(attributes, change))
}

const flags = (...mountFlags: string[]): Partial<VolumeRequest> => ({
  volumeCapability: mountCapability({ mountFlags }),
})
const group = (volumeMountGroup: string): Partial<VolumeRequest> => ({
  volumeCapability: mountCapability({ volumeMountGroup }),
})

void t.test('a volume has the options of a mount, with their defaults', (t) => {
  const { options, readOnly, credential, pod } = read()
  t.match(options, {
    endpoint: 'https://account.services.ai.azure.com/api/projects/project',
    agent: 'agent',
    session: 'session-0001',
    subdirectory: undefined,
    isolationKey: undefined,
    userIdentity: undefined,
    ttlMs: 2000,
    conflict: 'keep',
    logs: 'open',
    cacheBytes: 2 ** 30,
    sync: false,
  })
  t.equal(readOnly, false)
  t.strictSame(credential, { kind: 'token', token: 'a-token' })
  t.strictSame(pod, { namespace: '', name: '', uid: '', serviceAccount: '' })
  t.end()
})

void t.test('what of a volume is its own is given by attributes of its own', (t) => {
  const { options, readOnly } = read({ subPath: '/a//b/', readOnly: 'true', userIdentity: 'eva' })
  t.match(options, { subdirectory: 'a/b', userIdentity: 'eva', readOnly: false })
  t.equal(readOnly, true)
  t.equal(read({ readOnly: 'false' }).readOnly, false)
  t.end()
})

void t.test('a volume is read-only where its attribute, the Pod or the claim says so', (t) => {
  t.equal(read({}, { readonly: true }).readOnly, true)
  const modes: [string, boolean][] = [
    ['SINGLE_NODE_WRITER', false],
    ['MULTI_NODE_MULTI_WRITER', false],
    ['MULTI_NODE_SINGLE_WRITER', false],
    ['SINGLE_NODE_READER_ONLY', true],
    ['MULTI_NODE_READER_ONLY', true],
  ]
  for (const [mode, expected] of modes)
    t.equal(read({}, { volumeCapability: mountCapability({}, mode) }).readOnly, expected, mode)
  t.end()
})

void t.test('all users of a Pod may use a volume, whoever they are', (t) => {
  t.match(read().options, { allowOther: true, uid: 0, gid: 0, umask: 0 })
  t.match(read({ uid: '1000', gid: '2000', umask: '077' }).options, { uid: 1000, gid: 2000, umask: 0o077 })
  t.end()
})

void t.test(
  'volumes of a session agree, or it is said in what they do not; what the driver adds is not theirs',
  (t) => {
    const added = { caFile: '/run/ca.pem', httpsProxy: 'http://proxy', directory: '/mounts/key' }
    t.equal(differingOption(read().options, { ...read().options, ...added }), undefined)
    t.equal(differingOption(read().options, read({ ttl: '5s' }).options), 'ttlMs')
    t.equal(differingOption(read().options, read({}, group('2000')).options), 'gid')
    t.end()
  },
)

void t.test('the files of a Pod with an fsGroup are of that group, which may write', (t) => {
  t.match(read({}, group('2000')).options, { uid: 0, gid: 2000, umask: 0o002 })
  t.match(read({ gid: '7', umask: '027' }, group('2000')).options, { gid: 7, umask: 0o027 })
  t.match(read({}, group('0')).options, { gid: 0, umask: 0o002 })
  for (const wrong of ['users', '-1', '1.5', '4294967295', '99999999999'])
    t.throws(() => read({}, group(wrong)), { code: 'invalidArgument', message: /^fsGroup: "/ }, wrong)
  t.end()
})

void t.test('the options of mount-session are attributes by their names, and flags of the mount', (t) => {
  const given = {
    ttl: '5s',
    'content-ttl': '1m',
    sync: 'true',
    noexec: 'false',
    ignore: 'a,b',
    conflict: 'overwrite',
  }
  const expected = {
    ttlMs: 5000,
    contentTtlMs: 60_000,
    sync: true,
    noExec: false,
    ignore: ['a', 'b'],
    conflict: 'overwrite',
  }
  t.match(read(given).options, expected)
  const asFlags = flags(
    'ttl=5s',
    'content-ttl=1m',
    'sync',
    'noexec=false',
    'ignore=a,b',
    'conflict=overwrite',
  )
  t.match(read({}, asFlags).options, expected)
  t.match(read({ ttl: '9s' }, flags('ttl=5s')).options, { ttlMs: 5000 }, 'the flag of the mount is nearer')
  t.match(read({}, flags('subPath=a=b', 'readOnly')), { options: { subdirectory: 'a=b' }, readOnly: true })
  t.end()
})

void t.test("what is the cluster's own is no attribute", (t) => {
  const { pod } = read({
    'csi.storage.k8s.io/pod.namespace': 'space',
    'csi.storage.k8s.io/pod.name': 'pod',
    'csi.storage.k8s.io/pod.uid': 'uid',
    'csi.storage.k8s.io/serviceAccount.name': 'account',
    'csi.storage.k8s.io/ephemeral': 'true',
    'storage.kubernetes.io/csiProvisionerIdentity': '1-csi.mount-session',
  })
  t.strictSame(pod, { namespace: 'space', name: 'pod', uid: 'uid', serviceAccount: 'account' })
  t.end()
})

const refused = (
  test: Test,
  attributes: Record<string, string | undefined>,
  message: RegExp,
  change?: Partial<VolumeRequest>,
): void => {
  const title = JSON.stringify(change ?? attributes)
  test.throws(() => read(attributes, change), { name: 'CsiError', code: 'invalidArgument', message }, title)
}

void t.test('what is missing, or wrong, is refused by its name', (t) => {
  for (const name of ['endpoint', 'agent', 'session'])
    refused(t, { [name]: undefined }, new RegExp(`^the attribute ${name} is missing$`))
  refused(t, { endpoint: 'account' }, /^endpoint: .*is not an https address$/)
  refused(t, { endpoint: 'http://account.example.com' }, /^endpoint: .*plain http/)
  refused(t, { agent: '' }, /^agent: "" is not a name$/)
  refused(t, { session: 'a/b' }, /^session: "a\/b" is not a name$/)
  refused(t, { subPath: '../other' }, /^subPath: "..\/other" is not the path of a directory/)
  refused(t, { subPath: '' }, /^subPath: /)
  refused(t, { readOnly: 'yes' }, /^readOnly: "yes" is neither true nor false$/)
  refused(t, { sync: '1' }, /^sync: "1" is neither true nor false$/)
  refused(t, { ttl: 'soon' }, /^ttl: /)
  refused(t, { uid: '-1' }, /^uid: /)
  refused(t, { umask: '9' }, /^umask: /)
  refused(t, { conflict: 'ask' }, /^conflict: "ask" is none of keep, overwrite$/)
  refused(t, {}, /^ttl: /, flags('ttl=soon'))
  t.end()
})

void t.test('what is not known is refused with what there is', (t) => {
  for (const name of ['sesion', 'toString', '__proto__x', 'o', 'ttlMs']) {
    refused(
      t,
      { [name]: 'x' },
      new RegExp(`^the attribute ${name} is not known: a volume may have endpoint, agent, session,.* ttl,`),
    )
  }
  refused(t, {}, /^the attribute rw is not known/, flags('rw'))
  refused(
    t,
    {},
    /^the secret has an entry password, which is not known: it may have token and isolationKey$/,
    {
      secrets: { token: 'x', password: 'y' },
    },
  )
  t.end()
})

void t.test("every option either is a volume's to say, or its refusal says what to do instead", (t) => {
  const instead: Readonly<Partial<Record<OptionName, RegExp>>> = {
    token: /secret of nodePublishSecretRef/,
    isolationKey: /secret of nodePublishSecretRef/,
    userIdentity: /the attribute userIdentity/,
    subdirectory: /the attribute subPath/,
    readOnly: /the attribute readOnly/,
    sessionStatus: /a volume is one/,
    caFile: /give the driver --ca-file/,
    httpsProxy: /the driver's Pod/,
    allProxy: /the driver's Pod/,
    noProxy: /the driver's Pod/,
    allowOther: /always lets all users/,
    autoUnmount: /the driver unmounts/,
    restart: /always followed by another/,
    foreground: /the driver starts/,
    logLevel: /give the driver --log-level/,
    logFile: /that of the mount Pod/,
    traceFile: /give the driver --log-level trace/,
    ignoreFrom: /give ignore/,
  }
  for (const [name, row] of optionRows) {
    if (name === 'endpoint') continue
    const attribute = row.flag ?? row.mountOption ?? name
    const text = row.default ?? (row.argument === undefined ? 'true' : '1')
    const remedy = instead[name]
    if (remedy === undefined) t.doesNotThrow(() => read({ [attribute]: text }), attribute)
    else
      refused(
        t,
        { [attribute]: text },
        new RegExp(`^${attribute} is not a volume's to say: .*${remedy.source}`),
      )
  }
  t.end()
})

void t.test('a secret has a token and an isolation key, without the end of a line', (t) => {
  const { options, credential } = read({}, { secrets: { token: 'a-token\n', isolationKey: 'a key\r\n' } })
  t.strictSame(credential, { kind: 'token', token: 'a-token' })
  t.equal(options.isolationKey, 'a key')
  refused(t, {}, /^the secret's token is empty$/, { secrets: { token: ' \n' } })
  refused(t, {}, /^the secret's isolationKey is empty$/, { secrets: { token: 'x', isolationKey: '' } })
  t.end()
})

const tokens = 'csi.storage.k8s.io/serviceAccount.tokens'
const workload = { clientId: 'client', tenantId: 'tenant' }
const ofAudience = (audience: string): string =>
  JSON.stringify({ [audience]: { token: 'an-assertion', expirationTimestamp: '2026-01-01T00:00:00Z' } })

void t.test('without a token of its own a Pod signs in as its service account', (t) => {
  t.equal(tokenAudience, 'api://AzureADTokenExchange')
  const expected = { kind: 'workload', assertion: 'an-assertion', clientId: 'client', tenantId: 'tenant' }
  const json = ofAudience(tokenAudience)
  t.strictSame(read({ ...workload, [tokens]: json }, { secrets: {} }).credential, expected)
  t.strictSame(read(workload, { secrets: { [tokens]: json } }).credential, expected, 'or from the secrets')
  const both = { secrets: { token: 'a-token', [tokens]: json } }
  t.strictSame(read(workload, both).credential, { kind: 'token', token: 'a-token' }, 'a token comes first')
  t.end()
})

void t.test("a Pod that nobody has signed in is refused: the node's own login is not for it", (t) => {
  refused(t, {}, /^nothing to sign in with: give clientId and tenantId .* or a secret with a token/, {
    secrets: {},
  })
  refused(t, { clientId: 'client' }, /^nothing to sign in with/, { secrets: {} })
  t.end()
})

void t.test('a token that is not for Entra, or none, is refused without a word of it', (t) => {
  const none =
    /^the kubelet gave no token of the service account for api:\/\/AzureADTokenExchange: the CSIDriver object/
  refused(t, workload, none, { secrets: {} })
  for (const json of [
    ofAudience('other'),
    'null',
    '{}',
    `{"${tokenAudience}":{}}`,
    `{"${tokenAudience}":{"token":7}}`,
  ])
    refused(t, { ...workload, [tokens]: json }, none, { secrets: {} })
  refused(
    t,
    { ...workload, [tokens]: 'an-assertion' },
    /^csi\.storage\.k8s\.io\/serviceAccount\.tokens: what the kubelet gave is no JSON$/,
    { secrets: {} },
  )
  t.end()
})

void t.test('what a storage class hands on is refused where no volume could have it', (t) => {
  t.doesNotThrow(() => checkAttributes({ ttl: '5s', clientId: 'x', 'csi.storage.k8s.io/fstype': '' }))
  t.throws(() => checkAttributes({ ttl: 'soon' }), { message: /^ttl: / })
  t.throws(() => checkAttributes({ restart: 'off' }), { message: /^restart is not a volume's to say/ })
  t.throws(() => checkAttributes({}, { secrets: { other: '' } }), {
    message: /^the secret has an entry other/,
  })
  t.throws(() => checkAttributes({}, flags('nosuch')), { message: /^the attribute nosuch is not known/ })
  t.end()
})
