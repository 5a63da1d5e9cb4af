/**
 * Mount Pods, events and the driver's own image, as the API of a cluster is asked for them, and what it may answer.
 */
import t, { type Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { CsiError } from '../../src/csi/csi-error.ts'
import { ownImage } from '../../src/csi/own-image.ts'
import { PodEvents } from '../../src/csi/pod-events.ts'
import { PodLauncher } from '../../src/csi/pod-launcher.ts'
import { VolumeFiles } from '../../src/csi/volume-files.ts'
import { answer, fakeCluster, type FakeCluster } from './fake-cluster.ts'
import { recordingLogger } from './rig.ts'

const key = '0123456789abcdef0123'
const files = new VolumeFiles(key, { run: '/run/m', state: '/var/lib/m', mounts: '/mounts' })
const pods = '/api/v1/namespaces/mount-session/pods'

async function launching(t: Test): Promise<FakeCluster & { readonly launcher: PodLauncher }> {
  const fake = await fakeCluster(t)
  const launcher = new PodLauncher({
    cluster: fake.cluster,
    namespace: fake.cluster.namespace,
    nodeName: 'node1',
    image: {
      image: 'registry/mount-session:1',
      imagePullPolicy: 'Always',
      imagePullSecrets: [{ name: 'pull' }],
    },
    user: { uid: 65_532, gid: 65_533 },
    environment: { HTTPS_PROXY: 'http://proxy:3128' },
    clock: systemClock,
  })
  return { ...fake, launcher }
}

const status = (name: string, given: object): Record<string, unknown> => ({
  metadata: { name },
  status: given,
})

/** One line, and foreseen. */
async function failsWith(t: Test, work: Promise<unknown>, code: string, message: RegExp): Promise<void> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  t.ok(error instanceof CsiError, String(error))
  if (!(error instanceof CsiError)) return
  t.equal(error.code, code)
  t.match(error.message, message)
  t.notMatch(error.message, /\n/)
}

void t.test('a mount Pod has no privilege, and of its node the two directories of its volume', async (t) => {
  const { launcher, calls, pods: made } = await launching(t)
  await launcher.launch(files)
  t.strictSame(
    calls.map(({ method, path, token }) => [method, path, token]),
    [
      ['GET', pods, 'Bearer first-token'],
      ['POST', pods, 'Bearer first-token'],
    ],
  )
  t.strictSame(Object.fromEntries(calls[0]?.query ?? []), {
    labelSelector: `csi.mount-session/volume=${key}`,
    fieldSelector: 'spec.nodeName=node1',
  })
  const [pod] = made
  t.match(pod, {
    metadata: {
      name: new RegExp(`^mount-${key}-[0-9a-f]{6}$`),
      labels: { 'app.kubernetes.io/name': 'mount-session-volume', 'csi.mount-session/volume': key },
    },
    spec: {
      nodeName: 'node1',
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      imagePullSecrets: [{ name: 'pull' }],
      securityContext: { runAsUser: 65_532, runAsGroup: 65_533, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          image: 'registry/mount-session:1',
          imagePullPolicy: 'Always',
          args: ['csi-volume', `/run/m/${key}`],
          env: [
            { name: 'HTTPS_PROXY', value: 'http://proxy:3128' },
            { name: 'HOME', value: `/var/lib/m/${key}` },
          ],
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
        },
      ],
    },
  })
  const { spec } = pod as { spec: { volumes: { hostPath?: { path: string } }[]; containers: object[] } }
  t.strictSame(
    spec.volumes.flatMap(({ hostPath }) => (hostPath === undefined ? [] : [hostPath.path])),
    [`/run/m/${key}`, `/var/lib/m/${key}`],
  )
  t.notMatch(JSON.stringify(pod), /"privileged":true|hostNetwork|hostPID|mountPropagation|serviceAccountName/)
  t.equal(spec.containers.length, 1)
})

void t.test('the Pod of the daemon before is deleted at once, and the next has another name', async (t) => {
  const { launcher, calls, pods: made } = await launching(t)
  await launcher.launch(files)
  const name = (): unknown => (made[0] as { metadata: { name: string } }).metadata.name
  const first = name()
  await launcher.launch(files)
  t.equal(made.length, 1)
  t.not(name(), first)
  const deletion = calls.find(({ method }) => method === 'DELETE')
  t.match(deletion, { path: `${pods}/${String(first)}`, sent: { gracePeriodSeconds: 0 } })
})

void t.test(
  'a stop waits until the kubelet has seen the end; a Pod that is gone is no failure',
  async (t) => {
    const { launcher, pods: made, calls, answerWith } = await launching(t)
    made.push(status('mount-a', { phase: 'Running' }))
    let asked = 0
    answerWith(({ method }, response) => {
      if (method === 'GET') answer(response, 200, { items: asked++ < 2 ? made : [] })
      else answer(response, 404, { message: 'gone' })
    })
    await launcher.stop(files)
    t.equal(asked, 3)
    t.match(calls.find(({ method }) => method === 'DELETE')?.sent, { gracePeriodSeconds: 1 })
    await launcher.stop(files)
  },
)

void t.test('why a Pod does not serve is said as the cluster knows it', async (t) => {
  const { launcher, pods: made } = await launching(t)
  t.equal(await launcher.describe(files), 'it was deleted')
  const waiting = (reason: string, message?: string): object => ({ state: { waiting: { reason, message } } })
  const cases: [object, string][] = [
    [{}, 'Pod mount-a is Pending'],
    [{ phase: 'Pending', containerStatuses: [{}] }, 'Pod mount-a is Pending'],
    [
      { phase: 'Pending', containerStatuses: [waiting('ImagePullBackOff', 'no such image')] },
      'Pod mount-a is Pending (ImagePullBackOff: no such image)',
    ],
    [
      { phase: 'Pending', conditions: [{ status: 'True' }, { status: 'False', message: 'no memory' }] },
      'Pod mount-a is Pending (no memory)',
    ],
    [{ phase: 'Failed', message: 'Pod was evicted' }, 'Pod mount-a is Failed (Pod was evicted)'],
  ]
  for (const [given, text] of cases) {
    made.splice(0, 1, status('mount-a', given))
    t.equal(await launcher.describe(files), text)
  }
})

void t.test('a Pod that has ended, or is being deleted, is gone; one that still starts is not', async (t) => {
  const { launcher, pods: made } = await launching(t)
  t.equal(await launcher.isGone(files), true)
  for (const [phase, isGone] of [
    ['Pending', false],
    ['Running', false],
    ['Failed', true],
    ['Succeeded', true],
  ] as const) {
    made.splice(0, 1, status('mount-a', { phase }))
    t.equal(await launcher.isGone(files), isGone, phase)
  }
  made.splice(0, 1, { metadata: { name: 'mount-a', deletionTimestamp: 'now' }, status: { phase: 'Running' } })
  t.equal(await launcher.isGone(files), true)
})

void t.test('what the cluster refuses is one line with the call and its words', async (t) => {
  const { launcher, answerWith, close } = await launching(t)
  const refuse = (code: number, body: string) => {
    answerWith((_call, response) => response.writeHead(code).end(body))
  }
  refuse(403, JSON.stringify({ message: 'pods is forbidden: User "x"\ncannot list' }))
  await failsWith(
    t,
    launcher.launch(files),
    'permissionDenied',
    /refused GET .*\/pods with 403: pods is forbidden/,
  )
  refuse(500, '<html>\n<body>a page of a proxy</body>')
  await failsWith(t, launcher.launch(files), 'unavailable', /with 500: <html> <body>a page/)
  refuse(200, 'no JSON')
  await failsWith(t, launcher.launch(files), 'unavailable', /does not answer GET/)
  t.match(await launcher.describe(files), /does not answer GET/)
  answerWith((_call, response) => void response.destroy())
  await failsWith(t, launcher.launch(files), 'unavailable', /does not answer GET .*\/pods: /)
  await close()
  await failsWith(t, launcher.stop(files), 'unavailable', /does not answer GET .*ECONNREFUSED/)
})

void t.test('the token is read anew for each call', async (t) => {
  const { launcher, calls, setToken } = await launching(t)
  await launcher.isGone(files)
  setToken('second-token')
  await launcher.isGone(files)
  t.strictSame(
    calls.map(({ token }) => token),
    ['Bearer first-token', 'Bearer second-token'],
  )
})

void t.test('an event is of the Pod, as long as the API takes it, and never a failure', async (t) => {
  const { cluster, calls, answerWith } = await launching(t)
  const logger = recordingLogger()
  const events = new PodEvents({ cluster, nodeName: 'node1', clock: systemClock, logger })
  const pod = { namespace: 'team', name: 'pod', uid: 'uid', serviceAccount: 'default' }
  await events.post(pod, { reason: 'ChangesKept', message: 'x'.repeat(5000) })
  t.match(calls[0], {
    method: 'POST',
    path: '/api/v1/namespaces/team/events',
    sent: {
      metadata: { namespace: 'team', name: /^pod\./ },
      involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace: 'team', name: 'pod', uid: 'uid' },
      type: 'Warning',
      reason: 'ChangesKept',
      source: { component: 'csi.mount-session', host: 'node1' },
      count: 1,
    },
  })
  t.equal((calls[0]?.sent as { message: string }).message.length, 1024)
  await events.post({ ...pod, name: '' }, { reason: 'MountLost', message: 'lost' })
  t.equal(calls.length, 1, 'without a Pod there is nobody to tell')
  answerWith((_call, response) => answer(response, 403, { message: 'forbidden' }))
  await events.post(pod, { reason: 'MountLost', message: 'lost' })
  t.match(logger.lines, [{ level: 'warn', reason: 'MountLost', err: { code: 'permissionDenied' } }])
})

void t.test('the driver’s own image is that of its container, with what lets a node pull it', async (t) => {
  const { cluster, pods: made } = await launching(t)
  made.push(
    {
      metadata: { name: 'driver-1' },
      spec: {
        containers: [
          { name: 'registrar', image: 'other' },
          { name: 'driver', image: 'ours', imagePullPolicy: 'Always' },
        ],
        imagePullSecrets: [{ name: 'pull' }],
      },
    },
    { metadata: { name: 'driver-2' }, spec: { containers: [{ name: 'any', image: 'first' }] } },
    { metadata: { name: 'driver-3' } },
  )
  t.strictSame(await ownImage(cluster, 'driver-1'), {
    image: 'ours',
    imagePullPolicy: 'Always',
    imagePullSecrets: [{ name: 'pull' }],
  })
  t.match(await ownImage(cluster, 'driver-2'), { image: 'first' })
  await failsWith(t, ownImage(cluster, 'driver-3'), 'internal', /driver-3 has no image/)
  await failsWith(t, ownImage(cluster, 'driver-4'), 'unavailable', /refused GET .*driver-4 with 404/)
})
