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
type NativeCallback = (error: Error | null, result: number) => void
const nativeRecvmsg = promisify(
  (
    libc.func('intptr_t recvmsg(int fd, void *message, int flags)') as unknown as {
      async: (fd: number, message: Uint8Array, flags: number, done: NativeCallback) => void
    }
  ).async,
)

const getFlags = 3
const setFlags = 4
const nonblocking = 0o4000
const closeOnExec = 0o2000000
const unixDomain = 1
const streamSocket = 1
const closeReceivedOnExec = 0x4000_0000
const exclusiveAtOnce = 2 | 4
const wouldBlock = 11
const readAndWrite = 1 | 2
const shared = 1
const mapFailed = 2n ** 64n - 1n

/** Bytes read, or a negative errno; the descriptor must be non-blocking. Cheaper than an exception for each EAGAIN. */
export function readNow(fd: number, buffer: Uint8Array): number {
  const count = nativeRead(fd, buffer, buffer.length)
  return count < 0 ? -koffi.errno() : count
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

/** The descriptor that comes over a Unix socket (SCM_RIGHTS); undefined when the other end closed without sending one. */
export async function receiveDescriptor(socket: number): Promise<number | undefined> {
  // A `struct msghdr` of a 64-bit Linux with what it points to, in one block so that all of it lives until the end
  // of the call: its iovec, one byte of data, and room for one control message with one descriptor.
  const block = Buffer.alloc(56 + 16 + 8 + 24)
  const start = koffi.address(block)
  block.writeBigUInt64LE(start + 56n, 16) // msg_iov
  block.writeBigUInt64LE(1n, 24)
  block.writeBigUInt64LE(start + 80n, 32) // msg_control
  block.writeBigUInt64LE(24n, 40)
  block.writeBigUInt64LE(start + 72n, 56) // iov_base
  block.writeBigUInt64LE(1n, 64)
  const count = await nativeRecvmsg(socket, block, closeReceivedOnExec)
  const hasDescriptor = count > 0 && block.readBigUInt64LE(40) >= 20n
  return hasDescriptor ? block.readInt32LE(80 + 16) : undefined
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
