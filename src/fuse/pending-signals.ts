/**
 * Which of the signals that are pending for a thread may end its wait, from its /proc/TID/status. Layer: fuse.
 *
 * Invariant: a wait is ended by what ends the program, and by what people send to stop it (SIGINT, SIGTERM, SIGHUP,
 * SIGQUIT), also where the program handles that; never by what it handles and goes on after, nor by a pause.
 *
 * While a thread waits in the kernel it takes no signal, so that what is pending tells all: for the thread (SigPnd)
 * and for its whole program (ShdPnd). Once a program is to end, each of its threads has SIGKILL pending. Reading the
 * file takes no lock that a thread may hold while it waits for us (as /proc/PID/cmdline does: that of its memory).
 */

import { readFileSync, readlinkSync } from 'node:fs'
import { constants } from 'node:os'

const { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGKILL } = constants.signals
const { SIGCHLD, SIGCONT, SIGURG, SIGWINCH, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU } = constants.signals

/** What somebody sends so that a program stops what it does. */
const meantToStop = maskOf(SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGKILL)
/** What does not end a program that has said nothing of it: ignored, or a pause. */
const endsNothing = maskOf(SIGCHLD, SIGCONT, SIGURG, SIGWINCH, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU)

function maskOf(...signals: readonly number[]): bigint {
  return signals.reduce((mask, signal) => mask | (1n << BigInt(signal - 1)), 0n)
}

/** `status` as /proc/TID/status has it (proc(5)). */
export function mayEndWait(status: string): boolean {
  const pending = (maskIn(status, 'SigPnd') | maskIn(status, 'ShdPnd')) & ~maskIn(status, 'SigBlk')
  return (
    (pending & ~maskIn(status, 'SigIgn') & (meantToStop | ~(maskIn(status, 'SigCgt') | endsNothing))) !== 0n
  )
}

function maskIn(status: string, field: string): bigint {
  const digits = new RegExp(`^${field}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1]
  return digits === undefined ? 0n : BigInt(`0x${digits}`)
}

/** In the sleep that only a fatal signal ends: so is a thread whose request was interrupted. */
export function isDeepAsleep(status: string): boolean {
  return /^State:\s*D/m.test(status)
}

/** Reads /proc/TID/status of a thread by the number that the kernel calls it by; undefined: it cannot be seen. */
export type StatusOf = (thread: number) => string | undefined

/** Sees nothing where /proc shows another PID namespace than this process is in. */
export function statusFromProc(): StatusOf {
  if (readlinkQuietly('/proc/self') !== String(process.pid)) return () => undefined
  return (thread) => {
    try {
      return readFileSync(`/proc/${thread}/status`, 'latin1')
    } catch {
      return undefined // ended, or hidden from this user
    }
  }
}

function readlinkQuietly(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined // no /proc is mounted
  }
}
