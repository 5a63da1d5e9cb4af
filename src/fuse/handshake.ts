/**
 * INIT: what kernel and filesystem agree on before anything else. Layer: fuse; pure.
 *
 * Invariant: a flag is asked for only when the kernel offers it and some code here relies on it.
 *
 * Not asked for, and why: WRITEBACK_CACHE (the kernel would own size and mtime), POSIX_LOCKS and FLOCK_LOCKS
 * (locks between processes of this mount work in the kernel alone), HANDLE_KILLPRIV (the kernel clears setuid
 * bits itself with a SETATTR), AUTO_INVAL_DATA (drops pages at every new mtime, our own writes' too),
 * EXPLICIT_INVAL_DATA (would keep the pages when an answer shows another size: a reader would find the new
 * size over the old page, filled up with zeros, until our notification has arrived), DONT_MASK (the kernel
 * applies the umask), SPLICE (pipes cost more than they save from JavaScript).
 */

import type { InitRequest } from './decode.ts'
import type { Reply } from './encode.ts'
import {
  InitFlag,
  InitFlag2,
  maxPages,
  maxWriteBytes,
  protocolMajor,
  protocolMinor,
  protocolMinorLeast,
  Size,
} from './protocol.ts'

/** Without these the kernel would send pieces of 4 KiB. */
const required = InitFlag.bigWrites | InitFlag.maxPages
const wanted =
  required |
  InitFlag.asyncRead |
  InitFlag.atomicOpenTruncate |
  InitFlag.doReaddirplus |
  InitFlag.readdirplusAuto |
  InitFlag.parallelDirectoryOperations |
  InitFlag.abortError |
  InitFlag.initExtended

const wanted2 = InitFlag2.hasExpireOnly | InitFlag2.hasResend

/** Requests that the kernel keeps in flight for read-ahead and the like, and from where on it holds back. */
const maxBackground = 128
const congestionThreshold = 96

export type Negotiation =
  /** Tell the kernel our major version; it asks again with that. */
  | { readonly kind: 'olderMajor' }
  | { readonly kind: 'refused'; readonly explanation: string }
  | {
      readonly kind: 'agreed'
      readonly minor: number
      readonly maxReadahead: number
      readonly flags: number
      readonly flags2: number
      /** INVAL_ENTRY may merely expire a name. */
      readonly expireOnly: boolean
      /** What was read and not answered can be had again (6.9). */
      readonly resend: boolean
    }

export function negotiate(init: InitRequest): Negotiation {
  if (init.major > protocolMajor) return { kind: 'olderMajor' }
  const spoken = `the kernel speaks FUSE ${init.major}.${init.minor}`
  if (init.major < protocolMajor || init.minor < protocolMinorLeast) {
    return {
      kind: 'refused',
      explanation: `${spoken}, at least 7.${protocolMinorLeast} (Linux 5.4) is needed`,
    }
  }
  if ((init.flags & required) !== required) {
    return { kind: 'refused', explanation: `${spoken} but lacks large writes` }
  }
  const flags = init.flags & wanted
  const flags2 = (flags & InitFlag.initExtended) === 0 ? 0 : init.flags2 & wanted2
  return {
    kind: 'agreed',
    minor: Math.min(init.minor, protocolMinor),
    maxReadahead: init.maxReadahead,
    flags,
    flags2,
    expireOnly: (flags2 & InitFlag2.hasExpireOnly) !== 0,
    resend: (flags2 & InitFlag2.hasResend) !== 0,
  }
}

/** A `fuse_init_out`; for another major version the two numbers alone. */
export function encodeInit(reply: Reply, agreed: Negotiation): void {
  const { view, bytes } = reply
  const at = Size.outHeader
  bytes.fill(0, at, at + Size.initOut)
  view.setUint32(at, protocolMajor, true)
  reply.length = at + Size.initOut
  if (agreed.kind !== 'agreed') {
    view.setUint32(at + 4, protocolMinor, true)
    return
  }
  view.setUint32(at + 4, agreed.minor, true)
  view.setUint32(at + 8, agreed.maxReadahead, true)
  view.setUint32(at + 12, agreed.flags, true)
  view.setUint16(at + 16, maxBackground, true)
  view.setUint16(at + 18, congestionThreshold, true)
  view.setUint32(at + 20, maxWriteBytes, true)
  view.setUint32(at + 24, 1, true) // time_gran: nanoseconds
  view.setUint16(at + 28, maxPages, true)
  view.setUint32(at + 32, agreed.flags2, true)
}
