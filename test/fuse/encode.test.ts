import t from 'tap'
import * as encode from '../../src/fuse/encode.ts'
import type { Attributes, DirectoryEntry, Entry } from '../../src/filesystem/front-end.ts'

const attributes: Attributes = {
  inode: 0x1_0000_0002,
  kind: 'file',
  size: 5,
  blocks: 1,
  mode: 0o644,
  uid: 1000,
  gid: 100,
  linkCount: 1,
  accessed: { seconds: 1, nanoseconds: 2 },
  modified: { seconds: -1, nanoseconds: 3 },
  changed: { seconds: 4, nanoseconds: 5 },
}
const attributesHex = [
  '0200000001000000 0500000000000000 0100000000000000', // ino, size, blocks
  '0100000000000000 ffffffffffffffff 0400000000000000', // atime, mtime, ctime
  '02000000 03000000 05000000', // their nanoseconds
  'a4810000 01000000 e8030000 64000000', // mode, nlink, uid, gid
  '00000000 00000000 00000000', // rdev, blksize, flags
].join('')
const entry: Entry = { node: 7, attributes, entryTtlMs: 1500, attributesTtlMs: 250 }
const entryHex = [
  '0700000000000000 0000000000000000', // nodeid, generation
  '0100000000000000 0000000000000000', // entry and attribute seconds
  '0065cd1d 80b2e60e', // nanoseconds: half a second, a quarter
  attributesHex,
].join('')

/** The reply's bytes after its header. */
function body(fill: (reply: encode.Reply) => void): string {
  const reply = new encode.Reply()
  reply.bytes.fill(0xee) // what an earlier reply left
  reply.begin()
  fill(reply)
  return reply.bytes.subarray(16, reply.length).toString('hex')
}

const hex = (...parts: string[]): string => parts.join('').replaceAll(' ', '')

void t.test('the header counts what follows, and carries the errno negated', (t) => {
  const reply = new encode.Reply()
  reply.begin()
  reply.data = new Uint8Array(4)
  reply.finish(0, 6, 1)
  t.equal(reply.bytes.subarray(0, 16).toString('hex'), hex('14000000 00000000 0600000001000000'))
  reply.begin()
  reply.finish(2, 6, 0)
  t.equal(reply.bytes.subarray(0, 16).toString('hex'), hex('10000000 feffffff 0600000000000000'))
  t.end()
})

void t.test('entries, existing and missing', (t) => {
  t.equal(
    body((reply) => encode.encodeEntry(reply, entry)),
    hex(entryHex),
  )
  const missing: Entry = { node: 0, attributes: undefined, entryTtlMs: 2000, attributesTtlMs: 0 }
  t.equal(
    body((reply) => encode.encodeEntry(reply, missing)),
    hex('00'.repeat(16), '0200000000000000', '00'.repeat(104)),
  )
  t.end()
})

void t.test('attributes', (t) => {
  t.equal(
    body((reply) => encode.encodeAttributes(reply, { attributes, ttlMs: 1500 })),
    hex('0100000000000000 0065cd1d 00000000', attributesHex),
  )
  const directory = body((reply) =>
    encode.encodeAttributes(reply, {
      attributes: { ...attributes, kind: 'directory', mode: 0o755 },
      ttlMs: 0,
    }),
  )
  t.ok(directory.includes('ed410000'), 'a directory has its type')
  t.end()
})

void t.test('open and create', (t) => {
  const open = (keepCache: boolean, directIo: boolean, noFlush?: boolean): string =>
    body((reply) => encode.encodeOpen(reply, { handle: 9, keepCache, directIo, noFlush }))
  t.equal(open(false, false), hex('0900000000000000 00000000 00000000'))
  t.equal(open(false, true), hex('0900000000000000 01000000 00000000'))
  t.equal(open(true, false), hex('0900000000000000 02000000 00000000'))
  t.equal(open(true, false, false), open(true, false))
  t.equal(open(false, false, true), hex('0900000000000000 20000000 00000000'))
  t.equal(
    body((reply) => encode.encodeOpenDirectory(reply, 9)),
    open(false, false),
  )
  t.equal(
    body((reply) =>
      encode.encodeCreate(reply, { entry, open: { handle: 9, keepCache: true, directIo: false } }),
    ),
    hex(entryHex, '0900000000000000 02000000 00000000'),
  )
  t.end()
})

void t.test('counts, offsets, statistics', (t) => {
  t.equal(
    body((reply) => encode.encodeWritten(reply, 0x10203)),
    hex('03020100 00000000'),
  )
  t.equal(
    body((reply) => encode.encodeOffset(reply, 0x2_0000_0001)),
    hex('0100000002000000'),
  )
  const statistics = {
    blockSize: 4096,
    blocks: 10,
    freeBlocks: 9,
    availableBlocks: 8,
    files: 7,
    freeFiles: 6,
    nameLength: 255,
  }
  t.equal(
    body((reply) => encode.encodeStatistics(reply, statistics)),
    hex(
      '0a00000000000000 0900000000000000 0800000000000000 0700000000000000 0600000000000000',
      '00100000 ff000000 00100000 00000000',
      '00'.repeat(24),
    ),
  )
  t.end()
})

const listed: DirectoryEntry[] = [
  { name: '.', kind: 'directory', inode: 1, nextOffset: 1 },
  { name: 'eightbyt', kind: 'file', inode: 2, nextOffset: 2 },
  { name: 'é', kind: 'file', inode: 3, nextOffset: 3 },
]
const dot = '0100000000000000 0100000000000000 01000000 04000000 2e00000000000000'
const eight = '0200000000000000 0200000000000000 08000000 08000000 6569676874627974'
const accent = '0300000000000000 0300000000000000 02000000 08000000 c3a9000000000000'

void t.test('directory entries are padded to eight bytes and end where the room ends', (t) => {
  const fill = (size: number): string => body((reply) => encode.encodeDirectory(reply, listed, size))
  t.equal(fill(4096), hex(dot, eight, accent))
  t.equal(fill(96), hex(dot, eight, accent), 'exactly full')
  t.equal(fill(95), hex(dot, eight))
  t.equal(fill(31), '')
  t.end()
})

void t.test('readdirplus asks for nodes only of the entries that fit', (t) => {
  const asked: string[] = []
  const entryOf = (name: string): Entry | undefined => {
    asked.push(name)
    return name === '.' ? undefined : entry
  }
  t.equal(
    body((reply) => encode.encodeDirectory(reply, listed, 2 * 160 + 100, entryOf)),
    hex('00'.repeat(128), dot, entryHex, eight),
  )
  t.same(asked, ['.', 'eightbyt'])
  t.end()
})

void t.test('a long name at the very end of the longest reply is not cut', (t) => {
  const entries = Array.from({ length: 3000 }, (_, index) => ({
    name: '€'.repeat(85),
    kind: 'file' as const,
    inode: index,
    nextOffset: index + 1,
  }))
  const text = body((reply) => encode.encodeDirectory(reply, entries, 1 << 20))
  const each = 24 + 256
  t.equal(text.length / 2, Math.floor(encode.directoryReplyBytes / each) * each)
  t.end()
})

void t.test('the kernel may ask for files beyond 4 GiB and times before 1970', (t) => {
  const view = new DataView(new ArrayBuffer(8))
  for (const value of [0, 1, -1, 2 ** 32, 2 ** 40 + 5, -(2 ** 33) - 7, Number.MAX_SAFE_INTEGER]) {
    encode.setU64(view, 0, value)
    t.equal(view.getBigInt64(0, true), BigInt(value))
  }
  t.end()
})
