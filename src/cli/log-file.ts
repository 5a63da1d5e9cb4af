/**
 * The file that a daemon logs to. Layer: cli.
 *
 * Invariant: loads nothing, since the command that only starts a daemon opens it, too; one that has grown is set
 * aside before a mount begins, and under one by `log-sink.ts`.
 */
import { constants, fchmodSync, fstatSync, openSync, renameSync } from 'node:fs'
import { dirname } from 'node:path'
import { makeDirectory } from '../session/own-directory.ts'

/** A log of this size is set aside as FILE.1. */
export const rotateBytes = 8 * 1024 * 1024

/** Opens a log to append to, its directory made where missing; the error of open(2) otherwise. */
export function openLog(file: string): number {
  makeDirectory(dirname(file))
  /* a pipe that nobody reads is an error, and no reason to wait */
  const { O_APPEND, O_CREAT, O_NONBLOCK, O_WRONLY } = constants
  const open = (): number => openSync(file, O_APPEND | O_CREAT | O_NONBLOCK | O_WRONLY, 0o600)
  const descriptor = open()
  const { size, mode } = fstatSync(descriptor)
  if (size < rotateBytes || (mode & 0o170000) !== 0o100000) {
    return descriptor
  }
  renameSync(file, `${file}.1`)
  return open()
}

/** As `openLog`; what is there is gone where it is new: a trace is of one mount. Nobody else can read it. */
export function openTrace(file: string, { isNew }: { readonly isNew: boolean }): number {
  const descriptor = openSync(file, isNew ? 'w' : 'a', 0o600)
  if (fstatSync(descriptor).isFile()) fchmodSync(descriptor, 0o600)
  return descriptor
}
