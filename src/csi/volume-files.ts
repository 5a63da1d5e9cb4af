/**
 * Where the driver and the daemon of a session have what they share, and what its files hold. Layer: csi.
 *
 *   RUN/KEY/volume.json     what is mounted        RUN/KEY/token, assertion   what signs in, rewritten at each republish
 *   RUN/KEY/driver.sock     the driver offers the kernel's descriptor there, the daemon at RUN/KEY/daemon.sock
 *   RUN/KEY/targets/*.json  the volumes that show it, for the driver alone
 *   STATE/KEY/              the daemon's journal and cache: what XDG_STATE_HOME is to `mount-session recover`
 *   MOUNTS/KEY              the mount itself
 *
 * Invariant: RUN is memory (it ends with the machine, as mounts do), STATE a disk that outlives every Pod. A file is
 * written under another name first, so that nobody reads half of one.
 */
import { createHash } from 'node:crypto'
import { chownSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import * as v from 'valibot'
import type { DataDirectories, MountOptions } from '../options/mount-options.ts'
import type { VolumeSpec } from './volume-attributes.ts'

export interface VolumeRoots {
  readonly run: string
  readonly state: string
  readonly mounts: string
}

/** Whom the daemon runs as. */
export interface DaemonUser {
  readonly uid: number
  readonly gid: number
}

export class VolumeFiles implements DataDirectories {
  readonly key: string
  readonly run: string
  readonly state: string
  readonly mountPoint: string

  constructor(key: string, roots: VolumeRoots) {
    this.key = key
    this.run = join(roots.run, key)
    this.state = join(roots.state, key)
    this.mountPoint = join(roots.mounts, key)
  }

  get stateRoot(): string {
    return join(this.state, 'mount-session')
  }
  get cacheRoot(): string {
    return join(this.state, 'cache', 'mount-session')
  }
  get certificates(): string {
    return join(this.run, 'ca.pem')
  }

  /** Made for whoever the daemon runs as; those above them are the driver's. */
  make({ uid, gid }: DaemonUser): void {
    for (const directory of [this.run, this.state]) {
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      chownSync(directory, uid, gid)
    }
    mkdirSync(join(this.run, 'targets'), { recursive: true, mode: 0o700 })
    mkdirSync(this.mountPoint, { recursive: true, mode: 0o755 })
  }

  /** Of the daemon, which reads it. */
  write(file: string, text: string, { uid, gid }: DaemonUser): void {
    writeFileSync(`${file}.new`, text, { mode: 0o600 })
    chownSync(`${file}.new`, uid, gid)
    renameSync(`${file}.new`, file)
  }
}

/** Where the processes offer the descriptor, what signs in, and what is mounted: names within `run`. */
export const driverSocket = 'driver.sock'
export const daemonSocket = 'daemon.sock'
export const credentialFiles = { token: 'token', workload: 'assertion' } as const
const descriptionFile = 'volume.json'

const pod = v.object({ namespace: v.string(), name: v.string(), uid: v.string(), serviceAccount: v.string() })
const description = v.object({
  version: v.literal(1),
  /** `MountOptions`, which are checked where they come from. */
  options: v.record(v.string(), v.unknown()),
  credential: v.object({
    kind: v.picklist(['token', 'workload']),
    clientId: v.optional(v.string()),
    tenantId: v.optional(v.string()),
  }),
  /** The first that it was mounted for. */
  pod,
  logLevel: v.string(),
})

export interface VolumeDescription extends Omit<v.InferOutput<typeof description>, 'options'> {
  readonly options: MountOptions
}

export function writeDescription(files: VolumeFiles, described: VolumeDescription, user: DaemonUser): void {
  files.write(join(files.run, descriptionFile), JSON.stringify(described), user)
}

/** Throws where there is none, or none that this version reads. */
export function readDescription(run: string): VolumeDescription {
  const read = v.parse(description, JSON.parse(readFileSync(join(run, descriptionFile), 'utf8')))
  return read as unknown as VolumeDescription
}

/** The keys of what is mounted, or was. */
export function keysIn({ run }: VolumeRoots): readonly string[] {
  try {
    return readdirSync(run)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** A place that shows the session to a Pod. */
const target = v.object({ path: v.string(), volumeId: v.string(), isReadOnly: v.boolean(), pod })

export type Target = v.InferOutput<typeof target>

const targetFile = ({ run }: VolumeFiles, path: string): string =>
  join(run, 'targets', `${digest(path)}.json`)

export function writeTarget(files: VolumeFiles, written: Target): void {
  const file = targetFile(files, written.path)
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  writeFileSync(`${file}.new`, JSON.stringify(written), { mode: 0o600 })
  renameSync(`${file}.new`, file)
}

export function forgetTarget(files: VolumeFiles, path: string): void {
  rmSync(targetFile(files, path), { force: true })
}

export function readTargets({ run }: VolumeFiles): readonly Target[] {
  const directory = join(run, 'targets')
  return readdirSync(directory)
    .filter((name) => name.endsWith('.json'))
    .map((name) => v.parse(target, JSON.parse(readFileSync(join(directory, name), 'utf8'))))
}

/**
 * Who may share a mount: the same session, or part of it, seen by the same identity for Pods of the same service
 * account. A token of a secret is not part of it: it changes, and whoever may make a Pod in a namespace may use its secrets.
 */
export function keyOf({ options, credential, pod: { namespace, serviceAccount } }: VolumeSpec): string {
  const { endpoint, agent, session, subdirectory, isolationKey, userIdentity } = options
  const signsIn =
    credential.kind === 'token' ? ['token'] : ['workload', credential.clientId, credential.tenantId]
  const whose = [endpoint, agent, session, subdirectory, isolationKey, userIdentity]
  return digest(JSON.stringify([...whose, namespace, serviceAccount, ...signsIn]))
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 20)
}
