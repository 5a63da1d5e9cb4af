/**
 * Where the driver and the daemon of a session have what they share, and what its files hold. Layer: csi.
 *
 *   RUN/KEY/volume.json     what is mounted        RUN/KEY/token, assertion   what signs in, rewritten at each republish
 *   RUN/KEY/driver.sock     the driver offers the kernel's descriptor there, the daemon at RUN/KEY/daemon/daemon.sock
 *   RUN/KEY/targets/*.json  the volumes that show it, for the driver alone
 *   STATE/KEY/              the daemon's journal and cache: what XDG_STATE_HOME is to `mount-session recover`
 *   MOUNTS/KEY              the mount itself
 *
 * Invariant: RUN is memory (it ends with the machine, as mounts do), STATE a disk that outlives every Pod. A file is
 * written under another name first, so that nobody reads half of one. RUN/KEY is the driver's, and the daemon, which is
 * trusted with less, reads there: the driver touches nothing below the two directories that the daemon writes to.
 */
import { createHash } from 'node:crypto'
import {
  chownSync,
  closeSync,
  fchmodSync,
  fchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
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

  /** Made where they are missing. Nothing below the mount's own place is looked at: it may be mounted, and dead. */
  make({ uid, gid }: DaemonUser): void {
    mkdirSync(dirname(this.run), { recursive: true, mode: 0o711 })
    mkdirSync(dirname(this.state), { recursive: true, mode: 0o711 })
    mkdirSync(dirname(this.mountPoint), { recursive: true, mode: 0o755 })
    makeDirectory(this.run, { uid: 0, gid, mode: 0o750 })
    makeDirectory(this.targets, { uid: 0, gid: 0, mode: 0o700 })
    makeDirectory(this.ofDaemon, { uid, gid, mode: 0o700 })
    makeDirectory(this.state, { uid, gid, mode: 0o700 })
    makeDirectory(this.mountPoint, undefined)
  }

  get targets(): string {
    return join(this.run, 'targets')
  }
  /** Of RUN the part that the daemon writes to. */
  get ofDaemon(): string {
    return join(this.run, daemonDirectory)
  }

  /** A file of `run` that the daemon may read, and nobody else. */
  write(file: string, text: string, { gid }: DaemonUser): void {
    writeWhole(file, text, (fd) => {
      fchownSync(fd, 0, gid)
      fchmodSync(fd, 0o640)
    })
  }
}

/** `owner`: whose it is from its first moment on; undefined: it may be a mount, and stays as it is. */
function makeDirectory(
  path: string,
  owner: { readonly uid: number; readonly gid: number; readonly mode: number } | undefined,
): void {
  try {
    mkdirSync(path, { mode: owner?.mode ?? 0o755 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    if (owner === undefined) return
    if (!lstatSync(path).isDirectory()) throw new Error(`${path}: is no directory`, { cause: error })
  }
  /* the directory above is root's: nobody can have put something else there meanwhile */
  if (owner !== undefined) chownSync(path, owner.uid, owner.gid)
}

function writeWhole(file: string, text: string, prepare: (fd: number) => void = () => undefined): void {
  rmSync(`${file}.new`, { force: true })
  const fd = openSync(`${file}.new`, 'wx', 0o600)
  try {
    prepare(fd)
    writeFileSync(fd, text)
  } finally {
    closeSync(fd)
  }
  renameSync(`${file}.new`, file)
}

/** Where the processes offer the descriptor, what signs in, and what is mounted: names within `run`. */
export const driverSocket = 'driver.sock'
const daemonDirectory = 'daemon'
export const daemonSocket = join(daemonDirectory, 'daemon.sock')
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

/** The keys of what is mounted, or was: a mount without files is one, too. */
export function keysIn({ run, mounts }: VolumeRoots): readonly string[] {
  const names = [run, mounts].flatMap((directory) => {
    try {
      return readdirSync(directory)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
      throw error
    }
  })
  return [...new Set(names)].filter((name) => keyPattern.test(name))
}

/** A place that shows the session to a Pod. */
const target = v.object({ path: v.string(), volumeId: v.string(), isReadOnly: v.boolean(), pod })

export type Target = v.InferOutput<typeof target>

const targetFile = ({ targets }: VolumeFiles, path: string): string => join(targets, `${digest(path)}.json`)

export function writeTarget(files: VolumeFiles, written: Target): void {
  writeWhole(targetFile(files, written.path), JSON.stringify(written))
}

export function forgetTarget(files: VolumeFiles, path: string): void {
  rmSync(targetFile(files, path), { force: true })
}

export function readTargets({ targets }: VolumeFiles): readonly Target[] {
  return readdirSync(targets)
    .filter((name) => name.endsWith('.json'))
    .map((name) => v.parse(target, JSON.parse(readFileSync(join(targets, name), 'utf8'))))
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

/* what `digest` makes */
const keyPattern = /^[0-9a-f]{20}$/

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 20)
}
