/**
 * csi-sanity, the tests that Kubernetes has for every CSI driver, on the driver as it is started: real mounts of an
 * emulator's sessions, daemons as processes beside it.
 *
 * What csi-sanity leaves out of itself, because the driver does not say that it can do it: sizes of volumes (capacity,
 * expansion; 0 is what a session's is given as), lists of volumes, snapshots and clones, groups of them, attaching
 * (ControllerPublishVolume), staging, statistics and health, modifying, and SINGLE_NODE_MULTI_WRITER. One test it has
 * itself left pending.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, globSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import t from 'tap'
import { agent, session, startTestEmulator } from '../emulator-server.ts'
import { eventually } from '../mount/programs.ts'
import { workplace } from '../mount/rig.ts'

/* where scripts/test puts it, on the PATH, or where `go install` does */
function findProgram(): string | undefined {
  const go = spawnSync('go', ['env', 'GOPATH'], { encoding: 'utf8' })
  const goPath = go.status === 0 ? [join(go.stdout.trim(), 'bin')] : []
  const places = [...(process.env['PATH'] ?? '').split(delimiter), ...goPath]
  return places.map((place) => join(place, 'csi-sanity')).find((file) => existsSync(file))
}

const program = findProgram()

function skipped(): string | false {
  if (program === undefined)
    return 'csi-sanity is missing: install Go, and scripts/test fetches it (github.com/kubernetes-csi/csi-test)'
  if (process.getuid?.() !== 0) return 'a driver mounts for others: that needs root'
  return existsSync('/dev/fuse') ? false : 'there is no /dev/fuse'
}

/** Mount points, innermost first. */
function mountsBelow(root: string): readonly string[] {
  const lines = readFileSync('/proc/self/mounts', 'utf8').split('\n')
  return lines
    .map((line) => line.split(' ')[1] ?? '')
    .filter((place) => place.startsWith(root))
    .reverse()
}

/** Processes that serve a volume. */
function daemonsOf(run: string): readonly number[] {
  const pids = globSync(join(run, '*', 'daemon.pid')).map((file) =>
    Number.parseInt(readFileSync(file, 'utf8'), 10),
  )
  return pids.filter((pid) => commandOf(pid).includes(run))
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

/** What a driver leaves that did not pass. */
function takeAway(run: string, root: string): void {
  for (const place of mountsBelow(root)) spawnSync('umount', ['--lazy', place])
  for (const pid of daemonsOf(run)) process.kill(pid, 'SIGKILL')
}

const yaml = (fields: Readonly<Record<string, string>>): string =>
  Object.entries(fields)
    .map(([name, text]) => `${name}: ${JSON.stringify(text)}\n`)
    .join('')

/** A specification of csi-sanity and what became of it. */
interface Spec {
  readonly ContainerHierarchyTexts: readonly string[] | null
  readonly LeafNodeText: string
  readonly State: 'passed' | 'skipped' | 'pending' | 'failed' | 'panicked'
  readonly Failure?: { readonly Message: string }
}

/** What it may leave out, by the reason that it gives. */
const notOurs =
  /^((Node|Controller)?(GetCapacity|ListVolumes|ListSnapshots|GetSnapshot|CreateSnapshot|DeleteSnapshot|Snapshot|ExpandVolume|ModifyVolume|PublishVolume|UnpublishVolume|StageVolume|UnstageVolume|GetVolume|GetVolumeHealth|GetStorageHealth|ListVolumeHealth)|GroupControllerService|Volume Cloning|Modify volume|Controller Publish, UnpublishVolume) not supported$|^capacity of the volume is unknown$|^Service does not have single node multi writer capability$/i

void t.test(
  'csi-sanity passes in full, but for snapshots, clones, sizes, lists, attaching, staging, health and modifying',
  { skip: skipped(), timeout: 200_000 },
  async (t) => {
    const emulator = await startTestEmulator(t)
    const work = workplace(t)
    const place = (name: string): string => join(work.root, name)
    const [socket, run, kubelet] = [place('csi.sock'), place('run'), place('kubelet')]
    mkdirSync(kubelet)
    const directories = ['--kubelet-dir', kubelet, '--run-dir', run, '--state-dir', place('volumes')]
    const driver = work.startCommand(
      ['csi', '--in-process', '--no-registration', '--user', '0:0', '--socket', socket, ...directories],
      { limitMs: 180_000 },
    )
    t.teardown(() => takeAway(run, work.root))
    t.ok(await eventually(() => existsSync(socket)), 'the driver listens')

    writeFileSync(
      place('class.yaml'),
      yaml({ endpoint: emulator.endpoint, agent, reclaim: 'delete', ttl: '1s' }),
    )
    const calls = [
      'CreateVolume',
      'DeleteVolume',
      'ControllerValidateVolumeCapabilities',
      'NodePublishVolume',
    ]
    const secrets = calls.map((call) => `${call}Secret:\n  token: ${JSON.stringify(emulator.token)}\n`)
    writeFileSync(place('secrets.yaml'), secrets.join(''))
    const sanity = await work.start(
      program ?? '',
      [
        `-csi.endpoint=unix:${socket}`,
        `-csi.mountdir=${place('mnt')}`,
        `-csi.stagingdir=${place('staging')}`,
        `-csi.testvolumeparameters=${place('class.yaml')}`,
        `-csi.secrets=${place('secrets.yaml')}`,
        `-ginkgo.json-report=${place('report.json')}`,
        '-ginkgo.no-color',
      ],
      { limitMs: 170_000 },
    ).ended
    const [mountsLeft, daemonsLeft] = [mountsBelow(work.root), daemonsOf(run)]
    driver.child.kill('SIGTERM')
    takeAway(run, work.root)
    const { stderr: log, code } = await driver.ended

    const [{ SpecReports: specs }] = JSON.parse(readFileSync(place('report.json'), 'utf8')) as [
      { SpecReports: readonly Spec[] },
    ]
    const named = (...states: readonly Spec['State'][]): string[] =>
      specs
        .filter(({ State }) => states.includes(State))
        .map((spec) => [...(spec.ContainerHierarchyTexts ?? []), spec.LeafNodeText].join(' '))
    t.equal(
      sanity.code,
      0,
      sanity.code === 0 ? 'all pass' : `${sanity.stdout.slice(-5000)}\n${log.slice(-5000)}`,
    )
    t.strictSame(named('failed', 'panicked'), [])
    t.ok(named('passed').length >= 27, `${named('passed').length} passed`)
    t.strictSame(
      specs.filter(({ State, Failure }) => State === 'skipped' && !notOurs.test(Failure?.Message ?? '')),
      [],
      'what is left out is what the driver does not offer',
    )
    t.notMatch(log, emulator.token)
    t.strictSame(mountsLeft, [], 'nothing is mounted any more')
    t.strictSame(daemonsLeft, [], 'and nobody serves it')
    t.equal(code, 0, 'the driver ends')
    t.strictSame(
      readdirSync(join(emulator.data, 'agents', agent, 'sessions')),
      [session],
      'no session is left of the volumes',
    )
  },
)
