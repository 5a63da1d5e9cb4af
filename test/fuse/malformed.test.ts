/**
 * Requests of any bytes through every decoder: what comes out is whole, or the request is refused with an errno.
 */
import fc from 'fast-check'
import t from 'tap'
import {
  decodeBatchForget,
  decodeForget,
  decodeInit,
  decodeInterrupt,
  type Frame,
} from '../../src/fuse/decode.ts'
import { RefusedError } from '../../src/fuse/errno.ts'
import { operationsByOpcode } from '../../src/fuse/operations.ts'
import { longestStructureBytes, Size } from '../../src/fuse/protocol.ts'

/** What an earlier, longer request has left in the buffer. */
const leftover = 0xa5
const bufferBytes = 1024

/** A frame as the connection hands it on: what a short request lacks of its structure is zeros. */
function frameOf(body: Uint8Array): Frame {
  const bytes = Buffer.alloc(bufferBytes, leftover)
  const length = Size.inHeader + body.length
  bytes.fill(0, 0, Math.max(length, longestStructureBytes))
  bytes.set(body, Size.inHeader)
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length), length }
}

const extreme = fc.constantFrom(0, 1, 2, 40, 4096, 0x7fff_ffff, 0xffff_ffff)
const words = fc.array(extreme, { maxLength: 24 }).map((values) => {
  const bytes = Buffer.alloc(values.length * 4)
  for (const [index, value] of values.entries()) bytes.writeUInt32LE(value, index * 4)
  return bytes
})
const texts = fc.array(fc.constantFrom('a', '', '..', '/', '\0', '\0\0', 'x'.repeat(300), '\u{1F600}'), {
  maxLength: 5,
})
const anyBody = fc
  .tuple(words, texts, fc.uint8Array({ maxLength: 64 }), fc.nat({ max: 900 }))
  .map(([numbers, parts, junk, cut]) =>
    Buffer.concat([numbers, Buffer.from(parts.join('')), junk]).subarray(0, cut),
  )

/** Numbers are numbers, names end before their NUL, data lies within the request. */
function isWhole(value: unknown, frame: Frame): boolean {
  switch (typeof value) {
    case 'number':
      return Number.isFinite(value)
    case 'string':
      return !value.includes('\0') && value.isWellFormed() && Buffer.byteLength(value) <= frame.length
    case 'object':
      if (value === null) return true
      if (value instanceof Uint8Array) {
        const start = value.byteOffset - frame.bytes.byteOffset
        return value.buffer === frame.bytes.buffer && start >= 0 && start + value.length <= frame.length
      }
      return Object.values(value).every((member) => isWhole(member, frame))
    default:
      return true
  }
}

for (const [opcode, operation] of operationsByOpcode) {
  if (operation.kind !== 'implemented') continue
  void t.test(`opcode ${opcode}: any bytes are a request or refused`, (t) => {
    fc.assert(
      fc.property(anyBody, (body) => {
        const frame = frameOf(body)
        try {
          return isWhole(operation.decode(frame), frame)
        } catch (error) {
          return error instanceof RefusedError && error.errno > 0
        }
      }),
      { numRuns: 300 },
    )
    t.end()
  })
}

void t.test('the connection’s own requests never fail, and forget no more than is there', (t) => {
  fc.assert(
    fc.property(anyBody, (body) => {
      const frame = frameOf(body)
      let forgotten = 0
      decodeBatchForget(frame, () => forgotten++)
      const rest = [decodeInit(frame), decodeInterrupt(frame), decodeForget(frame)]
      return forgotten * Size.forgetOne <= frame.length && isWhole(rest, frame)
    }),
    { numRuns: 1000 },
  )
  t.end()
})
