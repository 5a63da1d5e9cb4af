/**
 * Looks at what mounting needs of this machine. Layer: cli.
 *
 * Invariant: mounts nothing and changes nothing.
 */
import { execFile } from 'node:child_process'
import { accessSync, constants, statSync } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { release } from 'node:os'
import { delimiter, join } from 'node:path'
import * as tls from 'node:tls'
import { codeOf, limitMs, type Verdict } from './finding.ts'
import {
  allowOtherVerdict,
  deviceVerdict,
  fusermountVerdict,
  kernelVerdict,
  nodeVerdict,
} from './fuse-verdicts.ts'
import type { Surroundings } from './surroundings.ts'

export async function checkDevice(surroundings: Surroundings): Promise<Verdict> {
  try {
    const device = await open('/dev/fuse', constants.O_RDWR)
    await device.close()
    return deviceVerdict({ surroundings, code: undefined })
  } catch (error) {
    return deviceVerdict({ surroundings, code: codeOf(error) })
  }
}

export async function checkFusermount(surroundings: Surroundings): Promise<Verdict> {
  const path = findProgram('fusermount3', process.env['PATH'] ?? '')
  const file = path === undefined ? undefined : statSync(path)
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '')
  return fusermountVerdict({
    surroundings,
    path,
    isSetuid: file !== undefined && file.uid === 0 && (file.mode & 0o4000) !== 0,
    isRoot: process.getuid?.() === 0,
    version: path === undefined ? undefined : await versionOf(path),
    ...privileges(status),
  })
}

const capSysAdmin = 21n

/** Of /proc/self/status; what it does not say is taken for granted. */
export function privileges(status: string): {
  readonly noNewPrivileges: boolean
  readonly canMount: boolean
} {
  const bounding = /^CapBnd:\s*([0-9a-f]+)$/m.exec(status)?.[1]
  return {
    noNewPrivileges: /^NoNewPrivs:\s*1$/m.test(status),
    canMount: bounding === undefined || ((BigInt(`0x${bounding}`) >> capSysAdmin) & 1n) === 1n,
  }
}

function findProgram(name: string, path: string): string | undefined {
  return path
    .split(delimiter)
    .filter((directory) => directory !== '')
    .map((directory) => join(directory, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

function versionOf(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(path, ['-V'], { timeout: limitMs - 500 }, (error, stdout) => {
      resolve(error === null ? stdout.trim().replace(/^fusermount3 /, '') : undefined)
    })
  })
}

export async function checkAllowOther(surroundings: Surroundings): Promise<Verdict> {
  return allowOtherVerdict(await readFile('/etc/fuse.conf', 'utf8').catch(() => ''), surroundings)
}

export function checkKernel(): Promise<Verdict> {
  return Promise.resolve(kernelVerdict(release()))
}

export function checkNode(isInspected: boolean): Promise<Verdict> {
  const canTrustEverywhere = 'setDefaultCACertificates' in tls
  return Promise.resolve(nodeVerdict({ version: process.versions.node, canTrustEverywhere, isInspected }))
}
