import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { SessionClient } from '../../src/client/session-client.ts'
import { systemClock } from '../../src/clock.ts'
import { controllerService } from '../../src/csi/controller-service.ts'
import { readVolume } from '../../src/csi/volume-attributes.ts'
import type { EmulatorOptions } from '../../src/emulator/emulator.ts'
import { agent, startTestEmulator, type TestEmulator } from '../emulator-server.ts'
import { mountCapability, recordingLogger, type RecordingLogger, type RemoteService, served } from './rig.ts'

interface Created {
  readonly volume: {
    readonly capacityBytes: number
    readonly volumeId: string
    readonly volumeContext: Readonly<Record<string, string>>
  }
}

interface Rig extends RemoteService {
  readonly emulator: TestEmulator
  readonly logger: RecordingLogger
  /** Asks for a volume; what differs from the usual is given. */
  readonly create: (change?: object, parameters?: object) => Promise<object>
  /** The same, where it is expected to be made. */
  readonly created: (change?: object, parameters?: object) => Promise<Created['volume']>
  readonly sessions: () => Promise<string[]>
}

async function rig(t: Test, options: Partial<EmulatorOptions> = {}): Promise<Rig> {
  const emulator = await startTestEmulator(t, { seed: [{ agent, session: 'somebody-elses' }], ...options })
  const { endpoint, token, certificatePath: caFile } = emulator
  const connection = { caFile, httpsProxy: undefined, allProxy: undefined, noProxy: undefined }
  const logger = recordingLogger()
  const service = controllerService({ connection, clock: systemClock, logger })
  const { remote } = await served(t, [service], logger)
  const controller = remote(service)
  const create: Rig['create'] = (change = {}, parameters = {}) =>
    controller.call('CreateVolume', {
      name: 'pvc-1',
      volumeCapabilities: [mountCapability()],
      parameters: { endpoint, agent, ...parameters },
      secrets: { token },
      ...change,
    })
  return {
    ...controller,
    emulator,
    logger,
    create,
    created: async (change, parameters) => {
      const answer = await create(change, parameters)
      t.match(answer, { volume: { volumeId: String } })
      return (answer as Created).volume
    },
    sessions: () => sessionsOf(t, emulator),
  }
}

async function sessionsOf(t: Test, { endpoint, token, certificatePath }: TestEmulator): Promise<string[]> {
  const ca = certificatePath === undefined ? undefined : readFileSync(certificatePath, 'utf8')
  const client = new SessionClient({ endpoint, credential: { token }, ca })
  try {
    const ids: string[] = []
    for await (const { sessionId } of client.listSessions(agent)) ids.push(sessionId)
    return ids.filter((id) => id !== 'somebody-elses')
  } finally {
    await client.close()
  }
}

const invalid = (details: RegExp): object => ({ code: 'INVALID_ARGUMENT', details })

void t.test('a volume is a new session of the agent, and its attributes say which', async (t) => {
  const { call, created, sessions, emulator } = await rig(t)
  t.match(await call('ControllerGetCapabilities'), {
    capabilities: [{ rpc: { type: 'CREATE_DELETE_VOLUME' } }],
  })
  const { endpoint, token } = emulator
  const parameters = { ttl: '5s', umask: '007', 'csi.storage.k8s.io/pvc/name': 'data' }
  const volume = await created({}, parameters)
  const [session = ''] = await sessions()
  t.match(session, /^pvc-1-[0-9a-f]{8}$/)
  t.strictSame(volume, {
    capacityBytes: 0,
    volumeId: `${encodeURIComponent(endpoint)}/${agent}/${session}`,
    volumeContext: { endpoint, agent, session, ttl: '5s', umask: '007' },
  })
  const { options } = readVolume({
    volumeContext: volume.volumeContext,
    secrets: { token },
    volumeCapability: mountCapability(),
    readonly: false,
  })
  t.match(options, { endpoint, agent, session, ttlMs: 5000, umask: 0o007 })
})

void t.test(
  'a call that comes again makes nothing more, also beyond the first page of sessions',
  async (t) => {
    const { created, sessions, emulator } = await rig(t, { pageSize: 2 })
    for (const name of ['pvc-2', 'pvc-3', 'pvc-4', 'pvc-5']) await created({ name })
    const first = await created()
    emulator.resetCounts()
    t.strictSame(await created(), first)
    /* what is the cluster's own may differ */
    t.strictSame(await created({}, { 'csi.storage.k8s.io/pv/name': 'pv' }), first)
    t.equal(emulator.counts().createSession, 0)
    t.equal((await sessions()).length, 5)
  },
)

void t.test('two calls at once make one session', async (t) => {
  const { create, sessions, emulator } = await rig(t)
  const hold = emulator.hold({ verb: 'createSession', at: 'arrival' })
  const first = create()
  await hold.reached
  t.strictSame(await create(), { code: 'ABORTED', details: 'pvc-1: another call about it is under way' })
  hold.release()
  t.match(await first, { volume: { volumeId: String } })
  t.equal((await sessions()).length, 1)
})

void t.test('a session that came to be meanwhile is taken', async (t) => {
  const { created, create, sessions, emulator } = await rig(t)
  const { volumeContext } = await created()
  const { session = '' } = volumeContext
  await emulator.deleteSession(agent, session)
  const hold = emulator.hold({ verb: 'listSessions', at: 'answer', times: 1 })
  const again = create()
  await hold.reached
  const { endpoint, token } = emulator
  const client = new SessionClient({ endpoint, credential: { token } })
  await client.createSession(agent, { sessionId: session })
  await client.close()
  hold.release()
  t.match(await again, { volume: { volumeContext: { session } } })
  t.strictSame(await sessions(), [session])
})

void t.test('the same name with another size or other parameters is refused', async (t) => {
  const { create, created, sessions } = await rig(t)
  const capacityRange = { requiredBytes: 2 ** 40, limitBytes: 0 }
  const { volumeContext } = await created({ capacityRange })
  await created({ capacityRange })
  const exists = { code: 'ALREADY_EXISTS', details: new RegExp(`${volumeContext['session']} was made for`) }
  t.match(await create({ capacityRange: { ...capacityRange, requiredBytes: 2 ** 40 + 1 } }), exists)
  t.match(await create({ capacityRange }, { reclaim: 'delete' }), exists)
  t.match(await create({ capacityRange }, { ttl: '1s' }), exists)
  t.match(await create(), exists)
  await created({ name: 'pvc-1-other' })
  t.equal((await sessions()).length, 2)
})

void t.test(
  'a session that is over is told of, and one of another size does not stand in the way',
  async (t) => {
    const { create, created, emulator } = await rig(t)
    const { volumeContext } = await created()
    emulator.expireSession(agent, volumeContext['session'] ?? '')
    t.match(await create(), {
      code: 'FAILED_PRECONDITION',
      details: /says this session is expired: delete it/,
    })
    await created({ capacityRange: { requiredBytes: 1, limitBytes: 0 } })
  },
)

void t.test('a session is deleted with its volume where the class says so, and kept otherwise', async (t) => {
  const { call, created, sessions, emulator } = await rig(t)
  const { token: secret } = emulator
  const secrets = { token: secret }
  const kept = await created()
  const deleted = await created({ name: 'pvc-2' }, { reclaim: 'delete' })
  t.match(deleted.volumeId, /\/delete$/)
  for (const { volumeId } of [kept, deleted])
    t.strictSame(await call('DeleteVolume', { volumeId, secrets }), {})
  t.strictSame(await sessions(), [kept.volumeContext['session']])
  t.strictSame(await call('DeleteVolume', { volumeId: deleted.volumeId, secrets }), {}, 'gone already')
})

void t.test('what is not of this driver is deleted by nobody, and without asking anybody', async (t) => {
  const { call, emulator } = await rig(t)
  const other = `${encodeURIComponent(emulator.endpoint)}/${agent}/somebody-elses`
  for (const volumeId of ['fake-vol-id', 'a/b/c/d/delete', other])
    t.strictSame(await call('DeleteVolume', { volumeId, secrets: {} }), {}, volumeId)
  t.match(await call('DeleteVolume', {}), invalid(/^volume_id is missing$/))
  t.strictSame(emulator.statuses(), {})
})

void t.test('a volume of an agent that is gone is gone', async (t) => {
  const { call, emulator } = await rig(t)
  const volumeId = `${encodeURIComponent(emulator.endpoint)}/no-such-agent/session-0001/delete`
  t.strictSame(await call('DeleteVolume', { volumeId, secrets: { token: emulator.token } }), {})
})

void t.test('a volume that could not be deleted is not said to be', async (t) => {
  const { call, created, sessions } = await rig(t)
  const { volumeId } = await created({}, { reclaim: 'delete' })
  t.match(await call('DeleteVolume', { volumeId, secrets: { token: 'wrong' } }), {
    code: 'UNAUTHENTICATED',
    details: /the secret needs a valid token/,
  })
  t.equal((await sessions()).length, 1)
})

void t.test('what cannot be meant is refused by name, and makes no session', async (t) => {
  const { create, sessions } = await rig(t)
  const snapshot = { snapshot: { snapshotId: 's' } }
  const changes: [object, RegExp][] = [
    [{ name: '' }, /^name is missing$/],
    [{ volumeCapabilities: [] }, /^volume_capabilities is missing$/],
    [{ volumeCapabilities: [mountCapability(), { block: {} }] }, /volumeMode has to be Filesystem$/],
    [{ volumeContentSource: snapshot }, /^a session begins empty/],
    [{ secrets: { password: 'x' } }, /^the secret has an entry password/],
    [
      { volumeCapabilities: [mountCapability({ mountFlags: ['nosuchflag'] })] },
      /^the attribute nosuchflag is not known/,
    ],
    [{ volumeCapabilities: [mountCapability({ mountFlags: ['ttl=soon'] })] }, /^ttl: /],
  ]
  for (const [change, details] of changes) t.match(await create(change), invalid(details))
  const classes: [object, RegExp][] = [
    [{ endpoint: 'somewhere' }, /^endpoint: .*not an https address/],
    [{ endpoint: 'http://example.com/api' }, /^endpoint: .*plain http/],
    [{ agent: '' }, /^agent: "" is not a name$/],
    [{ agent: 'a/b' }, /^agent: "a\/b" is not a name$/],
    [{ session: 'session-0001' }, /^session: each volume of a class is a session of its own/],
    [{ reclaim: 'retain' }, /^reclaim: "retain" is neither keep nor delete$/],
    [{ reclaim: 'delete', userIdentity: 'eva' }, /^reclaim: delete and userIdentity/],
    [{ token: 'x' }, /^token is not a volume's to say: put it into the secret/],
    [{ cache: '1G' }, /^the attribute cache is not known/],
    [{ 'cache-size': 'much' }, /^cache-size: /],
    [{ 'log-file': '/tmp/x' }, /^log-file is not a volume's to say/],
  ]
  for (const [parameters, details] of classes) t.match(await create({}, parameters), invalid(details))
  t.match(await create({ parameters: { agent } }), invalid(/^the storage class has no parameter endpoint$/))
  t.match(await create({ parameters: { endpoint: 'https://a.b' } }), invalid(/no parameter agent$/))
  t.strictSame(await sessions(), [])
})

void t.test('a failure of the service says whose it is and what to do', async (t) => {
  const { create, emulator, sessions } = await rig(t)
  t.match(await create({ secrets: { token: 'wrong' } }), {
    code: 'UNAUTHENTICATED',
    details: new RegExp(`^${agent} at ${emulator.endpoint}: .*the secret needs a valid token`),
  })
  t.match(await create({}, { agent: 'nobody' }), { code: 'NOT_FOUND', details: /no such agent/ })
  t.match(await create({}, { agentVersion: '99' }), { code: 'NOT_FOUND', details: /no such version/ })
  const remove = emulator.fault({ verb: 'createSession', kind: 'status', status: 429, retryAfter: 60 })
  t.match(await create(), { code: 'UNAVAILABLE' }, 'at once: the caller asks again')
  remove()
  emulator.fault({ verb: 'createSession', kind: 'reset', when: 'after-commit', times: 1 })
  t.match(await create(), { code: 'UNAVAILABLE' }, 'it may have been made')
  t.equal((await sessions()).length, 1)
  t.match(await create(), { volume: { volumeId: String } })
  t.equal((await sessions()).length, 1)
})

void t.test('a call that its caller gives up ends', async (t) => {
  const { callUntil, emulator } = await rig(t)
  const { endpoint, token } = emulator
  const hold = emulator.hold({ verb: 'listSessions' })
  const giveUp = new AbortController()
  const request = {
    name: 'pvc-1',
    volumeCapabilities: [mountCapability()],
    parameters: { endpoint, agent },
    secrets: { token },
  }
  const given = callUntil('CreateVolume', request, giveUp.signal)
  await hold.reached
  giveUp.abort()
  t.match(await given, { code: 'CANCELLED' })
  hold.release()
})

void t.test(
  "a session belongs to the secret's isolation key, and to the version that the class names",
  async (t) => {
    const { created, call, emulator, sessions } = await rig(t)
    const { endpoint, token } = emulator
    const secrets = { token, isolationKey: 'eva' }
    const { volumeId, volumeContext } = await created({ secrets }, { reclaim: 'delete', agentVersion: '1' })
    const { session = '' } = volumeContext
    t.notOk('agentVersion' in volumeContext)
    const client = new SessionClient({ endpoint, credential: { token }, isolationKey: 'adam' })
    await t.rejects(client.getSession(agent, session), { code: 'session_not_found' })
    t.match(await client.getSession(agent, session, { isolationKey: 'eva' }), { agentVersion: '1' })
    await client.close()
    t.strictSame(await call('DeleteVolume', { volumeId, secrets }), {})
    t.strictSame(await sessions(), [])
  },
)

void t.test('a session that is made for a user is asked for as that user', async (t) => {
  const { create, created, call, emulator } = await rig(t)
  const { volumeId, volumeContext } = await created({}, { userIdentity: 'eva' })
  t.equal(volumeContext['userIdentity'], 'eva')
  const request = {
    volumeId,
    volumeContext,
    volumeCapabilities: [mountCapability()],
    secrets: { token: emulator.token },
  }
  t.match(await call('ValidateVolumeCapabilities', request), { confirmed: { volumeContext } })
  t.match(await create({}, { userIdentity: 'not a user' }), invalid(/user identity must be/))
})

void t.test('a volume that is there can be mounted by many, and is no block device', async (t) => {
  const { created, call, emulator } = await rig(t)
  const { volumeId, volumeContext } = await created()
  const secrets = { token: emulator.token }
  const validate = (change: object): Promise<object> =>
    call('ValidateVolumeCapabilities', {
      volumeId,
      volumeContext,
      volumeCapabilities: [mountCapability({}, 'MULTI_NODE_MULTI_WRITER')],
      secrets,
      ...change,
    })
  t.match(await validate({}), {
    confirmed: {
      volumeContext,
      volumeCapabilities: [{ mount: {}, accessMode: { mode: 'MULTI_NODE_MULTI_WRITER' } }],
    },
    message: '',
  })
  t.match(await validate({ volumeCapabilities: [{ block: {} }] }), {
    confirmed: null,
    message: /volumeMode has to be Filesystem$/,
  })
  t.match(await validate({ volumeId: '' }), invalid(/^volume_id is missing$/))
  t.match(await validate({ volumeCapabilities: [] }), invalid(/^volume_capabilities is missing$/))
  t.match(await validate({ volumeId: 'fake-vol-id' }), { code: 'NOT_FOUND' })
  await emulator.deleteSession(agent, volumeContext['session'] ?? '')
  t.match(await validate({}), { code: 'NOT_FOUND' })
})

void t.test('the certificates of the driver are trusted for its volumes', async (t) => {
  const { created } = await rig(t, { tls: true })
  t.match((await created()).volumeContext['endpoint'], /^https:/)
})

void t.test('without a token the login of the controller itself is used', async (t) => {
  const { create } = await rig(t)
  /* a login that fails without asking anybody */
  t.intercept(process, 'env', { value: { ...process.env, AZURE_TOKEN_CREDENTIALS: 'EnvironmentCredential' } })
  t.match(await create({ secrets: {} }), {
    code: 'UNAUTHENTICATED',
    details: /the secret needs a token, or the controller an identity/,
  })
})

void t.test('no token is in the log, whatever happens', async (t) => {
  const { create, call, created, logger, emulator } = await rig(t)
  const secret = 'eyJhbGciOi-secret'
  await create({ secrets: { token: secret, isolationKey: secret } })
  await create({ secrets: { token: secret, other: secret } })
  await create({ secrets: { token: emulator.token } }, { agent: 'nobody' })
  const { volumeId } = await created({}, { reclaim: 'delete' })
  await call('DeleteVolume', { volumeId, secrets: { token: secret, isolationKey: secret } })
  await call('ValidateVolumeCapabilities', {
    volumeId,
    secrets: { token: secret },
    volumeCapabilities: [mountCapability()],
  })
  t.ok(logger.lines.length > 5)
  t.notMatch(logger.text(), secret)
  t.notMatch(logger.text(), emulator.token)
})
