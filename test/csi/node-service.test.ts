import t, { type Test } from 'tap'
import { CsiError } from '../../src/csi/csi-error.ts'
import { type NodeVolumes, nodeService } from '../../src/csi/node-service.ts'
import type { VolumeSpec } from '../../src/csi/volume-attributes.ts'
import { mountCapability, type RecordingLogger, type RemoteService, served } from './rig.ts'

interface Rig extends RemoteService {
  readonly published: { readonly spec: VolumeSpec; readonly path: string; readonly volumeId: string }[]
  readonly unpublished: string[]
  readonly logger: RecordingLogger
}

async function rig(t: Test, given: Partial<NodeVolumes> = {}): Promise<Rig> {
  const published: Rig['published'] = []
  const unpublished: string[] = []
  const volumes: NodeVolumes = {
    publish: (spec, target) => {
      published.push({ spec, ...target })
      return Promise.resolve()
    },
    unpublish: (path) => {
      unpublished.push(path)
      return Promise.resolve()
    },
    ...given,
  }
  const service = nodeService({ nodeId: 'node-7', volumes })
  const { remote, logger } = await served(t, [service])
  return { ...remote(service), published, unpublished, logger }
}

const request = {
  volumeId: 'volume',
  targetPath: '/pods/uid/volumes/mount',
  volumeCapability: mountCapability({ volumeMountGroup: '1000', mountFlags: ['ttl=5s'] }),
  volumeContext: {
    endpoint: 'https://account.services.ai.azure.com/api/projects/project',
    agent: 'agent',
    session: 'session-0001',
  },
  secrets: { token: 'of-the-pod' },
}

void t.test('the node has its name, and takes the group of a Pod', async (t) => {
  const { call } = await rig(t)
  t.strictSame(await call('NodeGetInfo'), { nodeId: 'node-7', maxVolumesPerNode: 0 })
  t.match(await call('NodeGetCapabilities'), { capabilities: [{ rpc: { type: 'VOLUME_MOUNT_GROUP' } }] })
})

void t.test('a volume is published with what its attributes, its secret and its flags say', async (t) => {
  const { call, published } = await rig(t)
  t.strictSame(await call('NodePublishVolume', { ...request, readonly: true }), {})
  t.match(published, [
    {
      volumeId: 'volume',
      path: '/pods/uid/volumes/mount',
      spec: {
        options: { agent: 'agent', session: 'session-0001', gid: 1000, ttlMs: 5000, allowOther: true },
        readOnly: true,
        credential: { kind: 'token', token: 'of-the-pod' },
      },
    },
  ])
})

void t.test('what cannot be meant is refused before anything is mounted', async (t) => {
  const { call, published } = await rig(t)
  const refusals: [object, RegExp][] = [
    [{ volumeId: '' }, /^volume_id is missing$/],
    [{ targetPath: '' }, /^target_path is missing$/],
    [{ targetPath: 'pods/volume' }, /^target_path: pods\/volume is no absolute path$/],
    [{ volumeCapability: null }, /^volume_capability is missing$/],
    [{ volumeCapability: { accessMode: { mode: 'SINGLE_NODE_WRITER' } } }, /neither mount nor block$/],
    [{ volumeCapability: { block: {} } }, /no block device: volumeMode has to be Filesystem$/],
    [{ volumeContext: {} }, /^the attribute endpoint is missing$/],
    [{ secrets: { password: 'x' } }, /^the secret has an entry password, which is not known/],
  ]
  for (const [change, details] of refusals)
    t.match(await call('NodePublishVolume', { ...request, ...change }), { code: 'INVALID_ARGUMENT', details })
  t.strictSame(published, [])
})

void t.test('what a volume fails with is the answer', async (t) => {
  const { call } = await rig(t, {
    publish: () =>
      Promise.reject(new CsiError('failedPrecondition', 'the session has expired: make a new one')),
  })
  t.strictSame(await call('NodePublishVolume', request), {
    code: 'FAILED_PRECONDITION',
    details: 'the session has expired: make a new one',
  })
})

void t.test('a volume is unpublished by its target alone', async (t) => {
  const { call, unpublished } = await rig(t)
  t.strictSame(await call('NodeUnpublishVolume', { volumeId: 'volume', targetPath: '/target' }), {})
  t.strictSame(unpublished, ['/target'])
  const invalid = { code: 'INVALID_ARGUMENT' }
  t.match(await call('NodeUnpublishVolume', { targetPath: '/target' }), invalid)
  t.match(await call('NodeUnpublishVolume', { volumeId: 'volume' }), invalid)
  t.match(await call('NodeUnpublishVolume', { volumeId: 'volume', targetPath: 'target' }), invalid)
  t.strictSame(unpublished, ['/target'])
})

void t.test('no secret of a Pod is in the log or in a refusal, whatever is wrong with it', async (t) => {
  const { call, logger } = await rig(t)
  const secret = 'eyJhbGciOi-secret'
  const tokens = 'csi.storage.k8s.io/serviceAccount.tokens'
  const workload = { ...request.volumeContext, clientId: 'client', tenantId: 'tenant' }
  const answers = await Promise.all([
    call('NodePublishVolume', { ...request, secrets: { token: secret, isolationKey: secret } }),
    call('NodePublishVolume', { ...request, secrets: { token: secret, other: secret } }),
    call('NodePublishVolume', { ...request, secrets: {}, volumeContext: { ...workload, [tokens]: secret } }),
    call('NodePublishVolume', {
      ...request,
      secrets: {},
      volumeContext: { ...workload, [tokens]: `{"other":{"token":"${secret}"}}` },
    }),
    call('NodePublishVolume', { ...request, secrets: { [tokens]: `["${secret}"` }, volumeContext: workload }),
  ])
  t.match(answers, [{}, ...Array<object>(4).fill({ code: 'INVALID_ARGUMENT' })])
  t.notMatch(JSON.stringify(answers), secret.slice(0, 6))
  t.notMatch(logger.text(), secret.slice(0, 6))
})
