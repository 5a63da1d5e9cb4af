/**
 * What kind of machine this is, as far as it matters for mounting, and what is to be done there. Layer: cli.
 *
 * Invariant: decided from facts alone, from the innermost outwards: a container on WSL2 is a container, for there
 * is where its devices come from.
 */
import { existsSync, readFileSync } from 'node:fs'
import type { Environment } from '../session-arguments.ts'

export type Surroundings =
  'codespaces' | 'devcontainer' | 'kubernetes' | 'container' | 'wsl1' | 'wsl2' | 'linux' | 'other'

export interface SurroundingFacts {
  readonly platform: string
  /** Of /proc/version; '' where there is none. */
  readonly version: string
  readonly env: Environment
  readonly isThere: (path: string) => boolean
}

export function surroundingFacts(): SurroundingFacts {
  let version = ''
  try {
    version = readFileSync('/proc/version', 'utf8')
  } catch {
    /* no Linux */
  }
  return { platform: process.platform, version, env: process.env, isThere: existsSync }
}

export function surroundingsOf({ platform, version, env, isThere }: SurroundingFacts): Surroundings {
  if (platform !== 'linux') return 'other'
  const has = (name: string): boolean => (env[name] ?? '') !== ''
  if (has('CODESPACES')) return 'codespaces'
  if (has('REMOTE_CONTAINERS')) return 'devcontainer'
  if (has('KUBERNETES_SERVICE_HOST')) return 'kubernetes'
  if (isThere('/.dockerenv') || isThere('/run/.containerenv')) return 'container'
  if (!/microsoft/i.test(version) && !isThere('/run/WSL')) return 'linux'
  /* the first WSL imitates a kernel of its own: 4.4.0-…-Microsoft */
  return /^Linux version 4\.4\.\S*-Microsoft/.test(version) ? 'wsl1' : 'wsl2'
}

export const surroundingNames: Readonly<Record<Surroundings, string>> = {
  codespaces: 'GitHub Codespaces',
  devcontainer: 'a dev container',
  kubernetes: 'a pod of Kubernetes',
  container: 'a container',
  wsl1: 'WSL 1',
  wsl2: 'WSL 2',
  linux: 'Linux',
  other: 'no Linux',
}

const runArguments =
  '"runArgs": ["--device=/dev/fuse", "--cap-add=SYS_ADMIN"] in .devcontainer/devcontainer.json'
const withoutMount = 'without a mount `mount-session ls`, `get` and `put` work all the same'

/** How one comes to a /dev/fuse that can be mounted with; `''`: nothing more than what a machine has. */
export const containerRemedies: Readonly<Record<Surroundings, string>> = {
  codespaces: `${runArguments}, then "Codespaces: Full Rebuild Container"; ${withoutMount}`,
  devcontainer: `${runArguments}, then "Dev Containers: Rebuild Container" (where AppArmor is used, "--security-opt=apparmor:unconfined" as well)`,
  kubernetes: `securityContext with privileged: true, or a device plugin for /dev/fuse and the capability SYS_ADMIN; ${withoutMount}`,
  container: `start it with \`--device /dev/fuse --cap-add SYS_ADMIN\` (where AppArmor is used, \`--security-opt apparmor:unconfined\` as well); ${withoutMount}`,
  wsl1: 'WSL 1 has no FUSE: `wsl --set-version DISTRIBUTION 2` on Windows',
  wsl2: '`sudo modprobe fuse`; on Windows `wsl --update`, then `wsl --shutdown`',
  linux: '',
  other: `FUSE of Linux is needed to mount: use a container or a virtual machine; ${withoutMount}`,
}
