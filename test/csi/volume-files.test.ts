/**
 * The files that driver and daemon share: who may share a mount, and that a daemon, which owns some of them, leads the
 * driver nowhere.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { removeFiles } from '../../src/csi/left-behind.ts'
import { readVolume } from '../../src/csi/volume-attributes.ts'
import {
  forgetTarget,
  keyOf,
  keysIn,
  readTargets,
  VolumeFiles,
  type VolumeRoots,
  writeTarget,
} from '../../src/csi/volume-files.ts'
import { bindMount, detachMount } from '../../src/fuse/libc.ts'
import { mountCapability, temporaryDirectory } from './rig.ts'

const asRoot = { skip: process.getuid?.() !== 0 && 'only root gives files to others' }
const user = { uid: 65_532, gid: 65_532 }
const key = '0123456789abcdef0123'

function volume(t: Test): {
  readonly roots: VolumeRoots
  readonly files: VolumeFiles
  readonly directory: string
} {
  const directory = temporaryDirectory(t)
  const roots = {
    run: join(directory, 'run'),
    state: join(directory, 'state'),
    mounts: join(directory, 'mounts'),
  }
  return { roots, directory, files: new VolumeFiles(key, roots) }
}

function keyFor(
  attributes: Readonly<Record<string, string>> = {},
  secrets: Readonly<Record<string, string>> = { token: 'a-token' },
): string {
  const given = {
    endpoint: 'https://host.services.ai.azure.com/api/projects/one',
    agent: 'agent',
    session: 'session',
    'csi.storage.k8s.io/pod.name': 'pod',
    'csi.storage.k8s.io/pod.namespace': 'team',
    'csi.storage.k8s.io/serviceAccount.name': 'default',
    'csi.storage.k8s.io/serviceAccount.tokens': '{"api://AzureADTokenExchange":{"token":"an-assertion"}}',
    ...attributes,
  }
  return keyOf(
    readVolume({ volumeContext: given, secrets, volumeCapability: mountCapability(), readonly: false }),
  )
}

void t.test('whoever sees another session, or sees it as somebody else, has another mount', (t) => {
  const workload = (client: string): string => keyFor({ clientId: client, tenantId: 'tenant' }, {})
  const keys = [
    keyFor(),
    keyFor({ endpoint: 'https://host.services.ai.azure.com/api/projects/two' }),
    keyFor({ agent: 'other' }),
    keyFor({ session: 'other' }),
    keyFor({ subPath: 'part' }),
    keyFor({ userIdentity: 'somebody' }),
    keyFor({}, { token: 'a-token', isolationKey: 'of-somebody' }),
    keyFor({ 'csi.storage.k8s.io/pod.namespace': 'other' }),
    keyFor({ 'csi.storage.k8s.io/serviceAccount.name': 'other' }),
    workload('one'),
    workload('two'),
  ]
  t.equal(new Set(keys).size, keys.length)
  t.end()
})

void t.test('the Pod, the token and the options are no part of it', (t) => {
  t.equal(keyFor({ 'csi.storage.k8s.io/pod.name': 'other', 'csi.storage.k8s.io/pod.uid': 'x' }), keyFor())
  t.equal(keyFor({ 'cache-size': '1G', readOnly: 'true' }), keyFor())
  t.equal(keyFor({}, { token: 'the-next-token' }), keyFor())
  const attributes = { clientId: 'one', tenantId: 'tenant' }
  const tokens = {
    'csi.storage.k8s.io/serviceAccount.tokens': '{"api://AzureADTokenExchange":{"token":"next"}}',
  }
  t.equal(keyFor({ ...attributes, ...tokens }, {}), keyFor(attributes, {}))
  t.end()
})

void t.test('a daemon reads what is for it, and can put nothing in its place', asRoot, (t) => {
  const { files } = volume(t)
  files.make(user)
  const token = join(files.run, 'token')
  files.write(token, 'secret', user)
  const seen = (path: string): string => {
    const { uid, gid, mode } = fs.lstatSync(path)
    return `${uid}:${gid} ${(mode & 0o7777).toString(8)}`
  }
  t.strictSame([files.run, token, files.targets, files.ofDaemon, files.state].map(seen), [
    '0:65532 750',
    '0:65532 640',
    '0:0 700',
    '65532:65532 700',
    '65532:65532 700',
  ])
  t.end()
})

void t.test('what is written follows no link, and a reader sees the old text or the new', asRoot, (t) => {
  const { files, directory } = volume(t)
  files.make(user)
  const victim = join(directory, 'victim')
  fs.writeFileSync(victim, 'untouched', { mode: 0o600 })
  const token = join(files.run, 'token')
  fs.symlinkSync(victim, `${token}.new`)
  files.write(token, 'first', user)
  const reader = fs.openSync(token, 'r')
  fs.writeFileSync(`${token}.new`, 'half of what a driver wrote that was killed')
  files.write(token, 'the second, which is longer', user)
  t.equal(fs.readFileSync(reader, 'utf8'), 'first')
  fs.closeSync(reader)
  t.equal(fs.readFileSync(token, 'utf8'), 'the second, which is longer')
  t.strictSame([fs.readFileSync(victim, 'utf8'), fs.statSync(victim).uid], ['untouched', 0])
  t.end()
})

void t.test('a directory that is something else is refused instead of followed', asRoot, (t) => {
  const { files, directory } = volume(t)
  fs.mkdirSync(join(directory, 'run'))
  fs.mkdirSync(join(directory, 'victim'))
  fs.symlinkSync(join(directory, 'victim'), files.run)
  t.throws(() => files.make(user), /is no directory/)
  t.equal(fs.statSync(join(directory, 'victim')).uid, 0)
  t.end()
})

void t.test('targets come back as they were written, and no more once forgotten', asRoot, (t) => {
  const { files } = volume(t)
  files.make(user)
  const pod = { namespace: 'team', name: 'pod', uid: 'uid', serviceAccount: 'default' }
  const target = { path: '/somewhere/with "quotes"\nand lines', volumeId: 'volume', isReadOnly: true, pod }
  writeTarget(files, target)
  t.strictSame(readTargets(files), [target])
  forgetTarget(files, target.path)
  forgetTarget(files, target.path)
  t.strictSame(readTargets(files), [])
  t.end()
})

void t.test('keys are of what has files or is mounted, and of nothing else', (t) => {
  const { roots, directory } = volume(t)
  t.strictSame(keysIn(roots), [])
  for (const name of [
    `run/${key}`,
    'run/lost+found',
    `mounts/${key}`,
    'mounts/fedcba9876543210fedc',
    'run/..x',
  ])
    fs.mkdirSync(join(directory, name), { recursive: true })
  t.strictSame(keysIn(roots), [key, 'fedcba9876543210fedc'])
  t.end()
})

void t.test('what is removed at the end is what the driver made: a mount in there stops it', asRoot, (t) => {
  const { files, directory } = volume(t)
  files.make(user)
  const session = join(directory, 'session')
  fs.mkdirSync(session)
  fs.writeFileSync(join(session, 'file'), 'of a session')
  const inside = join(files.run, 'targets')
  bindMount(session, inside, { isReadOnly: false })
  t.throws(() => removeFiles(files), /something is mounted there, so nothing is removed/)
  detachMount(inside)
  t.equal(fs.readFileSync(join(session, 'file'), 'utf8'), 'of a session')
  fs.symlinkSync(session, join(files.ofDaemon, 'link'))
  fs.writeFileSync(join(files.state, 'journal'), 'changes')
  files.write(join(files.run, 'token'), 'secret', user)
  removeFiles(files)
  t.equal(fs.readFileSync(join(session, 'file'), 'utf8'), 'of a session')
  t.strictSame(fs.readdirSync(files.run), ['daemon'], 'what a daemon put there is not looked into')
  t.strictSame(fs.readdirSync(files.state), ['journal'])
  t.notOk(fs.existsSync(files.mountPoint))
  t.end()
})
