import t from 'tap'
import { Reply } from '../../src/fuse/encode.ts'
import { encodeInit, negotiate } from '../../src/fuse/handshake.ts'
import { InitFlag } from '../../src/fuse/protocol.ts'

const init = { major: 7, minor: 45, maxReadahead: 131072, flags: 0x73fffffb, flags2: 0x5fd }

function bytes(agreed: ReturnType<typeof negotiate>): string {
  const reply = new Reply()
  reply.bytes.fill(0xee)
  reply.begin()
  encodeInit(reply, agreed)
  return reply.bytes.subarray(16, reply.length).toString('hex')
}

void t.test('a current kernel gets what we rely on, and nothing else', (t) => {
  const agreed = negotiate(init)
  t.match(agreed, { kind: 'agreed', minor: 45, expireOnly: true, resend: true, flags2: 8 | 128 })
  t.equal(
    bytes(agreed),
    [
      '07000000 2d000000 00000200', // version, read-ahead
      '29606440', // the flags
      '8000 6000 00001000', // background, congestion, largest write
      '01000000 0001 0000', // time granularity, pages, no alignment
      '88000000', // second flags: names can be expired, requests had again
      '00'.repeat(28),
    ]
      .join('')
      .replaceAll(' ', ''),
  )
  t.end()
})

void t.test('what would change the meaning of a write or a lock is never asked for', (t) => {
  const agreed = negotiate({ ...init, flags: -1, flags2: -1 })
  if (agreed.kind !== 'agreed') throw new Error('not agreed')
  for (const name of [
    'writebackCache',
    'posixLocks',
    'flockLocks',
    'autoInvalidateData',
    'explicitInvalidateData',
    'handleKillPrivileges',
  ] as const) {
    t.equal(agreed.flags & InitFlag[name], 0, name)
  }
  t.end()
})

void t.test('Linux 5.4 is enough; names are dropped there and not expired', (t) => {
  const agreed = negotiate({ ...init, minor: 31, flags: 0x03fffffb, flags2: 0 })
  t.match(agreed, { kind: 'agreed', minor: 31, expireOnly: false, resend: false, flags2: 0 })
  t.end()
})

void t.test('older kernels are refused with their version, a newer major is asked to come down', (t) => {
  t.match(negotiate({ ...init, minor: 30 }), { kind: 'refused', explanation: /7\.30/ })
  t.match(negotiate({ ...init, major: 6 }), { kind: 'refused' })
  t.match(negotiate({ ...init, flags: 0 }), { kind: 'refused' })
  const newer = negotiate({ ...init, major: 8 })
  t.same(newer, { kind: 'olderMajor' })
  t.ok(bytes(newer).startsWith('07000000'))
  t.end()
})
