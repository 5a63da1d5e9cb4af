/**
 * System calls that Node does not offer. Layer: fuse; the only file with native calls.
 *
 * Invariant: every call either cannot block, or runs in libuv's pool and can be woken.
 */

import { closeSync } from 'node:fs'
import { promisify } from 'node:util'
import koffi from 'koffi'

const libc = koffi.load(null)
const nativeRead = libc.func('intptr_t read(int fd, void *buffer, size_t size)') as unknown as (
  fd: number,
  buffer: Uint8Array,
  size: number,
) => number
const nativeYield = libc.func('int sched_yield()') as unknown as () => number
const nativeFcntl = libc.func('int fcntl(int fd, int command, int argument)') as unknown as (
  fd: number,
  command: number,
  argument: number,
) => number
const nativeSocketpair = libc.func('int socketpair(int domain, int type, int protocol, void *pair)')
const nativeDup3 = libc.func('int dup3(int from, int to, int flags)') as unknown as (
  from: number,
  to: number,
  flags: number,
) => number
const nativeMmap = libc.func(
  'void *mmap(void *address, size_t length, int protection, int flags, int fd, int64_t offset)',
) as unknown as (
  address: null,
  length: number,
  protection: number,
  flags: number,
  fd: number,
  offset: number,
) => unknown
const nativeMunmap = libc.func('int munmap(void *address, size_t length)') as unknown as (
  address: unknown,
  length: number,
) => number
const nativeAllocate = libc.func(
  'int posix_fallocate(int fd, int64_t offset, int64_t length)',
) as unknown as (fd: number, offset: number, length: number) => number
const nativeFlock = libc.func('int flock(int fd, int operation)') as unknown as (
  fd: number,
  operation: number,
) => number
const nativeSocket = libc.func('int socket(int domain, int type, int protocol)') as unknown as (
  domain: number,
  type: number,
  protocol: number,
) => number
const nativeConnect = libc.func('int connect(int fd, const void *address, uint32_t length)') as unknown as (
  fd: number,
  address: Uint8Array,
  length: number,
) => number
const nativeSendmsg = libc.func('intptr_t sendmsg(int fd, void *message, int flags)') as unknown as (
  fd: number,
  message: Uint8Array,
  flags: number,
) => number
const nativeMount = libc.func(
  'int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data)',
) as unknown as (source: string, target: string, type: null, flags: number, data: null) => number
const nativeUmount2 = libc.func('int umount2(const char *target, int flags)') as unknown as (
  target: string,
  flags: number,
) => number
const nativeSendto = libc.func(
  'intptr_t sendto(int fd, void *data, size_t size, int flags, void *address, uint32_t length)',
) as unknown as (
  fd: number,
  data: Uint8Array,
  size: number,
  flags: number,
  address: Uint8Array,
  length: number,
) => number
type NativeCallback = (error: Error | null, result: number) => void
const nativeRecvmsgNow = libc.func('intptr_t recvmsg(int fd, void *message, int flags)') as unknown as {
  (fd: number, message: Uint8Array, flags: number): number
  async: (fd: number, message: Uint8Array, flags: number, done: NativeCallback) => void
}
const nativeRecvmsg = promisify(nativeRecvmsgNow.async)

const getFlags = 3
const setFlags = 4
const nonblocking = 0o4000
const closeOnExec = 0o2000000
const unixDomain = 1
const streamSocket = 1
const datagramSocket = 2
const closeReceivedOnExec = 0x4000_0000
const atOnceWithoutSignal = 0x40 | 0x4000
const exclusiveAtOnce = 2 | 4
const interrupted = 4
const wouldBlock = 11
const atOnce = 0x40
const controlTruncated = 8
const readAndWrite = 1 | 2
const shared = 1
const socketLevel = 1
const longestSocketPath = 107
const noSignal = 0x4000
const readOnly = 1
const noSetuid = 2
const noDevices = 4
const remount = 32
const bind = 4096
const detach = 2
const noFollow = 8
const passRights = 1
/* of the control message, in the block of `descriptorMessage` */
const controlAt = 80
const mapFailed = 2n ** 64n - 1n

/** Bytes read, or a negative errno; the descriptor must be non-blocking. Cheaper than an exception for each EAGAIN. */
export function readNow(fd: number, buffer: Uint8Array): number {
  const count = nativeRead(fd, buffer, buffer.length)
  return count < 0 ? -koffi.errno() : count
}

/** Other threads that wait for this processor have it first; returns at once when none does. */
export function yieldProcessor(): void {
  nativeYield()
}

export function setNonblocking(fd: number): void {
  const flags = nativeFcntl(fd, getFlags, 0)
  if (flags < 0 || nativeFcntl(fd, setFlags, flags | nonblocking) < 0) throw failure('fcntl')
}

export function socketPair(): readonly [number, number] {
  const pair = new Int32Array(2)
  if (nativeSocketpair(unixDomain, streamSocket | closeOnExec, 0, pair) !== 0) throw failure('socketpair')
  return [pair[0] ?? -1, pair[1] ?? -1]
}

/** Takes the lock of flock(2) on what is open, until it is closed; false when another process has it. */
export function tryLock(fd: number): boolean {
  if (nativeFlock(fd, exclusiveAtOnce) === 0) return true
  if (koffi.errno() === wouldBlock) return false
  throw failure('flock')
}

/** Makes the number `to` another name of what `from` is open on; what `to` was before is closed. */
export function duplicateOnto(from: number, to: number): void {
  if (nativeDup3(from, to, closeOnExec) < 0) throw failure('dup3')
}

/** Makes an open file so many bytes long, for which the disk has room from then on; throws where it has none. */
export function allocate(fd: number, length: number): void {
  const errno = nativeAllocate(fd, 0, length)
  if (errno !== 0) throw failure('posix_fallocate', errno)
}

/** What malloc keeps for later goes back to the system; nothing happens with a C library that cannot do so (musl). */
export function trimHeap(): void {
  try {
    const trim = libc.func('int malloc_trim(size_t pad)') as unknown as (pad: number) => number
    trim(0)
  } catch {
    // It stays as it is.
  }
}

export interface MappedFile {
  /** What is stored here is in the file at once, whatever becomes of this process. Not to be touched after `unmap`. */
  readonly bytes: Buffer
  unmap(): void
}

/** The first `length` bytes of an open file, which has them; undefined where its filesystem cannot do that. */
export function mapFile(fd: number, length: number): MappedFile | undefined {
  const address = nativeMmap(null, length, readAndWrite, shared, fd, 0)
  if (address === null || koffi.address(address) === mapFailed) return undefined
  return {
    bytes: Buffer.from(koffi.view(address, length)),
    unmap: () => void nativeMunmap(address, length),
  }
}

/** A connection to the Unix socket at `path`; `nobody` listens there, or who does has too many to answer just now. */
export function connectTo(path: string): number | 'nobody' | 'busy' {
  const name = Buffer.from(path)
  if (name.length > longestSocketPath) throw new Error(`${path}: too long for a socket`)
  const address = Buffer.alloc(2 + name.length + 1)
  address.writeUInt16LE(unixDomain, 0)
  name.copy(address, 2)
  const fd = nativeSocket(unixDomain, streamSocket | closeOnExec | nonblocking, 0)
  if (fd < 0) throw failure('socket')
  if (nativeConnect(fd, address, address.length) === 0) return fd
  const errno = koffi.errno()
  closeQuietly(fd)
  return errno === wouldBlock || errno === interrupted ? 'busy' : 'nobody'
}

/**
 * A `struct msghdr` of a 64-bit Linux with what it points to, in one block so that all of it lives until the end of the
 * call: its iovec, one byte of data, and room for one control message with one descriptor.
 */
function descriptorMessage(): Buffer {
  const block = Buffer.alloc(controlAt + 24)
  const start = koffi.address(block)
  block.writeBigUInt64LE(start + 56n, 16) // msg_iov
  block.writeBigUInt64LE(1n, 24)
  block.writeBigUInt64LE(start + BigInt(controlAt), 32) // msg_control
  block.writeBigUInt64LE(24n, 40)
  block.writeBigUInt64LE(start + 72n, 56) // iov_base
  block.writeBigUInt64LE(1n, 64)
  return block
}

/** The descriptor that comes over a Unix socket (SCM_RIGHTS); undefined when the other end closed without sending one. */
export async function receiveDescriptor(socket: number): Promise<number | undefined> {
  const block = descriptorMessage()
  const count = await nativeRecvmsg(socket, block, closeReceivedOnExec)
  const hasDescriptor = count > 0 && block.readBigUInt64LE(40) >= 20n
  return hasDescriptor ? block.readInt32LE(controlAt + 16) : undefined
}

/** As `receiveDescriptor`, and at once; `noRoom`: this process has as many open as it may. */
export function receiveDescriptorNow(socket: number): number | 'notYet' | 'ended' | 'noRoom' {
  const block = descriptorMessage()
  const count = nativeRecvmsgNow(socket, block, closeReceivedOnExec | atOnce)
  if (count < 0) {
    const errno = koffi.errno()
    return errno === wouldBlock || errno === interrupted ? 'notYet' : 'ended'
  }
  if (count > 0 && block.readBigUInt64LE(40) >= 20n) return block.readInt32LE(controlAt + 16)
  return (block.readInt32LE(48) & controlTruncated) !== 0 ? 'noRoom' : 'ended'
}

/** Sends one byte with a descriptor beside it, as `receiveDescriptor` takes it. */
export function sendDescriptor(socket: number, descriptor: number): void {
  const block = descriptorMessage()
  block.writeBigUInt64LE(20n, controlAt) // cmsg_len
  block.writeInt32LE(socketLevel, controlAt + 8)
  block.writeInt32LE(passRights, controlAt + 12)
  block.writeInt32LE(descriptor, controlAt + 16)
  if (nativeSendmsg(socket, block, noSignal) !== 1) throw failure('sendmsg')
}

/** Shows at `target` what is mounted at `source`, for this place alone read-only where that is asked for. */
export function bindMount(
  source: string,
  target: string,
  { isReadOnly }: { readonly isReadOnly: boolean },
): void {
  if (nativeMount(source, target, null, bind, null) !== 0) throw failure(`mount of ${target}`)
  if (!isReadOnly) return
  const flags = bind | remount | readOnly | noSetuid | noDevices
  if (nativeMount('none', target, null, flags, null) === 0) return
  const error = failure(`read-only mount of ${target}`)
  detachMount(target)
  throw error
}

/** Takes the uppermost mount away from a place, in use or not; false when nothing is mounted there. */
export function detachMount(target: string): boolean {
  return nativeUmount2(target, detach | noFollow) === 0
}

/**
 * Sends one datagram to a Unix socket, `@NAME` being an abstract one. Returns 0 or an errno, EAGAIN where the receiver
 * has no room for it just now.
 */
export function sendDatagram(path: string, text: string): number {
  const fd = nativeSocket(unixDomain, datagramSocket | closeOnExec, 0)
  if (fd < 0) return koffi.errno()
  // A `struct sockaddr_un`: the family, then the path; a zero before it is what makes an abstract one.
  const address = Buffer.from(`\0\0${path.startsWith('@') ? `\0${path.slice(1)}` : path}`)
  address.writeUInt16LE(unixDomain)
  const data = Buffer.from(text)
  const sent = nativeSendto(fd, data, data.length, atOnceWithoutSignal, address, address.length)
  const errno = sent < 0 ? koffi.errno() : 0
  closeSync(fd)
  return errno
}

/** Closes without a word about a descriptor that is closed already. */
export function closeQuietly(fd: number): void {
  try {
    closeSync(fd)
  } catch {
    // Nothing is left to be done about it.
  }
}

function failure(call: string, errno = koffi.errno()): Error {
  return new Error(`${call} failed with errno ${errno}`)
}
