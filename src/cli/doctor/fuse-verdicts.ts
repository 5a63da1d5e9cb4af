/**
 * Whether this machine can mount: verdicts from facts. Layer: cli.
 *
 * Invariant: looks at nothing itself; `fuse-checks.ts` does.
 */
import { failure, ok, type Verdict, warning } from './finding.ts'
import { containerRemedies, type Surroundings } from './surroundings.ts'

export interface DeviceFacts {
  readonly surroundings: Surroundings
  /** Why it could not be opened (`ENOENT`, `EACCES`, …); undefined: it could be. */
  readonly code: string | undefined
}

export function deviceVerdict({ surroundings, code }: DeviceFacts): Verdict {
  if (code === undefined) return ok('/dev/fuse can be opened')
  const missing = code === 'ENOENT' || code === 'ENODEV' || code === 'ENXIO'
  const atHome = missing ? '`sudo modprobe fuse`' : '`sudo chmod 666 /dev/fuse`, which is what desktops have'
  /* in a container a device that is there and refused (EPERM) is one that was not given to it */
  const remedy = code === 'EACCES' ? atHome : containerRemedies[surroundings] || atHome
  return failure(missing ? '/dev/fuse is missing' : `/dev/fuse may not be opened (${code})`, remedy)
}

export interface FusermountFacts {
  readonly surroundings: Surroundings
  /** Undefined: not on the PATH. */
  readonly path: string | undefined
  /** Runs as root whoever starts it. */
  readonly isSetuid: boolean
  readonly isRoot: boolean
  /** What it says its version is; undefined: it did not run. */
  readonly version: string | undefined
  /** `NoNewPrivs` of this process: nothing becomes root any more. */
  readonly noNewPrivileges: boolean
  /** Whether anything here may have the capability SYS_ADMIN, which mount(2) needs. */
  readonly canMount: boolean
}

export function fusermountVerdict(facts: FusermountFacts): Verdict {
  const { surroundings, path, isRoot, version } = facts
  if (path === undefined)
    return failure('fusermount3 is not on the PATH', '`sudo apt-get install fuse3`, or `dnf install fuse3`')
  if (version === undefined)
    return failure(
      `${path} does not run`,
      'install the package fuse3 again; `fusermount3 -V` shows its error',
    )
  if (!isRoot && !facts.isSetuid)
    return failure(`${path} is not setuid root: it may not mount for you`, `\`sudo chmod u+s ${path}\``)
  if (!isRoot && facts.noNewPrivileges)
    return failure(
      `${path} cannot become root: this process was started with no_new_privs`,
      'leave out `--security-opt no-new-privileges`, or allowPrivilegeEscalation: false',
    )
  if (!facts.canMount)
    return failure(
      'nothing here may mount: the capability SYS_ADMIN was taken away',
      containerRemedies[surroundings] || 'start this with the capability SYS_ADMIN',
    )
  return ok(`${path}, ${version}`)
}

/** A note alone: nobody needs it before others are to see the mount. */
export function allowOtherVerdict(configuration: string, surroundings: Surroundings): Verdict {
  const line = 'the line user_allow_other in /etc/fuse.conf'
  if (/^\s*user_allow_other\s*$/m.test(configuration)) return ok('others may be let in with -o allow_other')
  return ok(
    surroundings === 'wsl2'
      ? `not set: Explorer of Windows, as every other user, sees a mount only with -o allow_other, for which ${line} is needed`
      : `not set: only -o allow_other needs ${line}`,
  )
}

const oldestKernel = [5, 4] as const
const oldestNode = 24

export function kernelVerdict(release: string): Verdict {
  const [major = 0, minor = 0] = release.split('.').map((part) => Number.parseInt(part, 10))
  const [wantedMajor, wantedMinor] = oldestKernel
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return ok(release)
  return failure(
    `${release} is too old`,
    `Linux ${oldestKernel.join('.')} or later is needed: update the machine; in a container that of its host`,
  )
}

export interface NodeFacts {
  readonly version: string
  /** Whether the login can be made to trust what the rest does. */
  readonly canTrustEverywhere: boolean
  /** Whether that matters: a certificate or a proxy was given. */
  readonly isInspected: boolean
}

export function nodeVerdict({ version, canTrustEverywhere, isInspected }: NodeFacts): Verdict {
  if (Number.parseInt(version, 10) < oldestNode)
    return failure(`${version} is too old`, `install Node ${oldestNode} or later`)
  if (!canTrustEverywhere && isInspected)
    return warning(
      `${version}: the login does not hear of --ca-file or of this machine's certificates`,
      'Node 24.5 or later, or name the certificate in NODE_EXTRA_CA_CERTS',
    )
  return ok(version)
}
