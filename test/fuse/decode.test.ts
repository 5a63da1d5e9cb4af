import t from 'tap'
import type { WriteRequest } from '../../src/filesystem/front-end.ts'
import * as decode from '../../src/fuse/decode.ts'
import { RefusedError } from '../../src/fuse/errno.ts'
import { Request } from '../../src/fuse/request.ts'

/** A request of spaced hex: the 40 bytes of the header and what follows. */
function frame(...hex: string[]): decode.Frame {
  const text = hex.join('').replaceAll(' ', '')
  // Rubbish behind the end, as an earlier, longer request would have left it.
  const bytes = Buffer.concat([Buffer.from(text, 'hex'), Buffer.alloc(16, 0x78)])
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset), length: text.length / 2 }
}

//              len      opcode   unique            nodeid            uid      gid      pid      ext  pad
const header = '38000000 01000000 0400000001000000 0500000000000000 e8030000 64000000 39300000 0000 0000'

void t.test('the header', (t) => {
  const request = new Request(frame(header).view)
  t.match(request, { opcode: 1, uniqueLow: 4, uniqueHigh: 1, node: 5, uid: 1000, gid: 100, pid: 12345 })
  t.equal(request.request, 0x1_0000_0004)
  t.end()
})

void t.test('names end at their NUL; UTF-8 is decoded, anything else refused', (t) => {
  t.equal(decode.decodeName(frame(header, '612062 00')), 'a b')
  t.equal(decode.decodeName(frame(header, 'f09f9880 00')), '😀')
  t.equal(
    decode.decodeName(frame(header, 'efbfbd 00')),
    '\ufffd',
    'the replacement character itself is a name',
  )
  t.throws(() => decode.decodeName(frame(header, '61ff 00')), new RefusedError(84))
  t.end()
})

void t.test('getattr, with a handle and without', (t) => {
  t.equal(decode.decodeGetattr(frame(header, '00000000 00000000 0900000000000000')), undefined)
  t.equal(decode.decodeGetattr(frame(header, '01000000 00000000 0900000000000000')), 9)
  t.end()
})

function setattr(valid: string): decode.SetattrRequest {
  return decode.decodeSetattr(
    frame(
      header,
      `${valid} 00000000`,
      '0700000000000000', // fh
      '0000000002000000', // size
      'ffffffffffffffff', // lock owner
      'ffffffffffffffff', // atime, one second before the epoch
      '80d1f00800000000', // mtime
      '0100000000000000', // ctime
      '01000000 02000000 03000000', // nanoseconds
      'b6810000', // mode: a regular file, 0666
      '00000000 e8030000 64000000 00000000',
    ),
  )
}

void t.test('setattr takes what its mask says', (t) => {
  t.same(setattr('00000000'), { handle: undefined, changes: {} })
  t.same(setattr('48000000'), { handle: 7, changes: { size: 0x2_0000_0000 } })
  t.same(setattr('07000000'), { handle: undefined, changes: { mode: 0o666, uid: 1000, gid: 100 } })
  t.same(setattr('30000000').changes, {
    accessed: { seconds: -1, nanoseconds: 1 },
    modified: { seconds: 150_000_000, nanoseconds: 2 },
  })
  t.same(setattr('b0010000').changes, { accessed: 'now', modified: 'now' })
  t.same(setattr('00060000'), { handle: undefined, changes: {} }, 'lock owner and change time are skipped')
  t.end()
})

void t.test('open flags', (t) => {
  const flags = (hex: string): unknown => decode.decodeOpen(frame(header, hex, '00000000'))
  const none = { read: true, write: false, append: false, truncate: false, exclusive: false }
  t.same(flags('00800000'), none)
  t.same(flags('01060000'), { ...none, read: false, write: true, append: true, truncate: true })
  t.same(flags('82000000'), { ...none, write: true, exclusive: true })
  t.end()
})

void t.test('create, mknod, mkdir', (t) => {
  const created = decode.decodeCreate(frame(header, 'c2000000 a4810000 12000000 00000000', '6e00'))
  t.same(created, {
    name: 'n',
    mode: 0o644,
    flags: { read: true, write: true, append: false, truncate: false, exclusive: true },
  })
  t.same(decode.decodeMknod(frame(header, 'a4110000 00000000 12000000 00000000', '6e00')), {
    mode: 0o010644,
    name: 'n',
  })
  t.same(decode.decodeMkdir(frame(header, 'ed010000 12000000', '6e00')), { mode: 0o755, name: 'n' })
  t.end()
})

void t.test('rename and rename2', (t) => {
  const names = '6f6c6400 6e657700'
  t.same(decode.decodeRename(frame(header, '0300000000000000', names)), {
    newParent: 3,
    noReplace: false,
    name: 'old',
    newName: 'new',
  })
  t.same(decode.decodeRename2(frame(header, '0300000000000000 01000000 00000000', names)), {
    newParent: 3,
    noReplace: true,
    name: 'old',
    newName: 'new',
  })
  const exchange = frame(header, '0300000000000000 02000000 00000000', names)
  t.throws(() => decode.decodeRename2(exchange), new RefusedError(22), 'EXCHANGE: EINVAL')
  t.end()
})

void t.test('read', (t) => {
  const read = frame(
    header,
    '0200000000000000 0010000001000000 00000200 00000000 0000000000000000 00000000 00000000',
  )
  t.same(decode.decodeRead(read), { handle: 2, offset: 0x1_0000_1000, size: 131072 })
  t.end()
})

void t.test('write: its data, and whether it appends', (t) => {
  const write = (writeFlags: string, flags: string): WriteRequest =>
    decode.decodeWrite(
      frame(
        header,
        `0200000000000000 0a00000000000000 03000000 ${writeFlags} 0000000000000000 ${flags} 00000000 616263`,
      ),
    )
  const plain = write('00000000', '01000000')
  t.match(plain, { handle: 2, offset: 10, append: false })
  t.equal(Buffer.from(plain.data).toString(), 'abc')
  t.equal(write('00000000', '01040000').append, true)
  t.equal(write('01000000', '01040000').append, false, 'a mapped page goes where it belongs')
  t.end()
})

void t.test('fallocate, lseek, copy_file_range', (t) => {
  t.same(
    decode.decodeFallocate(
      frame(header, '0200000000000000 0100000000000000 0500000000000000 03000000 00000000'),
    ),
    { handle: 2, offset: 1, length: 5, mode: 'punchHole' },
  )
  const zeroRange = frame(header, '0200000000000000 0100000000000000 0500000000000000 10000000 00000000')
  t.throws(() => decode.decodeFallocate(zeroRange), new RefusedError(95), 'ZERO_RANGE: EOPNOTSUPP')
  t.same(decode.decodeLseek(frame(header, '0200000000000000 0100000000000000 04000000 00000000')), {
    handle: 2,
    offset: 1,
    whence: 4,
  })
  const copy = (flags: string): unknown =>
    decode.decodeCopyFileRange(
      frame(
        header,
        '0200000000000000 0100000000000000 0700000000000000 0300000000000000',
        `0400000000000000 0500000000000000 ${flags}`,
      ),
    )
  t.same(copy('0000000000000000'), { from: 2, fromOffset: 1, to: 3, toOffset: 4, length: 5 })
  t.throws(() => copy('0100000000000000'), new RefusedError(22), 'an unknown flag: EINVAL')
  t.end()
})

void t.test('init, of kernels with and without the second flags', (t) => {
  const long = '07000000 2d000000 00000200 fbffff73 fd050000' + '00000000'.repeat(11)
  t.same(decode.decodeInit(frame(header, long)), {
    major: 7,
    minor: 45,
    maxReadahead: 131072,
    flags: 0x73fffffb,
    flags2: 0x5fd,
  })
  t.same(decode.decodeInit(frame(header, '07000000 1f000000 00000200 fbffff03')), {
    major: 7,
    minor: 31,
    maxReadahead: 131072,
    flags: 0x03fffffb,
    flags2: 0,
  })
  t.end()
})

void t.test('interrupt, forget, batch forget', (t) => {
  t.equal(decode.decodeInterrupt(frame(header, '0600000000000000')), 6)
  t.equal(decode.decodeForget(frame(header, '0300000000000000')), 3)
  const forgotten: number[][] = []
  decode.decodeBatchForget(
    frame(
      header,
      '02000000 00000000',
      '0200000000000000 0100000000000000',
      '0300000000000000 0900000000000000',
    ),
    (node, count) => forgotten.push([node, count]),
  )
  t.same(forgotten, [
    [2, 1],
    [3, 9],
  ])
  t.end()
})
