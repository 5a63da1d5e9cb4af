/**
 * Requests that no kernel sends: cut short, too long by their own word, of unknown kinds, with names that are none.
 * Random from a seed, which is printed; `HOSTILE_SEED` begins with that one.
 */
import { closeSync, writeSync } from 'node:fs'
import t from 'tap'
import { serve } from '../../src/fuse/connection.ts'
import { readNow, setNonblocking, socketPair } from '../../src/fuse/libc.ts'
import { operationsByOpcode } from '../../src/fuse/operations.ts'
import { silentLogger } from '../../src/log.ts'
import { startRig } from '../filesystem/rig.ts'
import { randomFrom } from '../logs/random.ts'

const requests = 4000
const lookup = 1
const notFoundOrEntry = [0, -2]

void t.test('whatever comes, the next good request is answered', { timeout: 120_000 }, async (t) => {
  const seed = Number(process.env['HOSTILE_SEED'] ?? 1)
  t.comment(`seed ${seed}`)
  const random = randomFrom(seed)
  const rig = await startRig(t, { files: { pageSize: 2 } })
  rig.files.put('a', 'a')
  rig.files.put('d/b', 'b')
  const [device, other] = socketPair()
  setNonblocking(other)
  const served = serve({ descriptor: device, frontEnd: rig.fs, logger: silentLogger })
  served.ready.catch(() => undefined)
  t.teardown(async () => {
    served.stop()
    await served.done
    closeSync(other)
  })
  const answers = Buffer.alloc(1 << 21)
  const ask = async (request: Buffer): Promise<number> => {
    writeSync(other, request)
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
    return readNow(other, answers)
  }
  const header = (opcode: number, unique: number, node: number, length: number): Buffer => {
    const bytes = Buffer.alloc(40)
    bytes.writeUInt32LE(length, 0)
    bytes.writeUInt32LE(opcode, 4)
    bytes.writeUInt32LE(unique, 8)
    bytes.writeUInt32LE(node, 16)
    return bytes
  }
  const names = ['a', 'd', 'b', '', '.', '..', 'a/b', 'x'.repeat(300), '\0\0']
  const opcodes = [...operationsByOpcode.keys()].filter((opcode) => opcode !== 26) // INIT may end it, by right
  const bodyOf = (): Buffer => {
    const numbers = Buffer.alloc(8 * random(12))
    for (let at = 0; at < numbers.length; at += 4)
      numbers.writeUInt32LE([0, 0, 1, 2, 3, 7, 4096, 0xffff_ffff][random(8)] ?? 0, at)
    const pieces = [numbers, Buffer.from(names[random(names.length)] ?? ''), Buffer.alloc(random(2))]
    const body = Buffer.concat([
      ...pieces,
      Buffer.from(names[random(names.length)] ?? ''),
      Buffer.alloc(random(2)),
    ])
    return body.subarray(0, random(3) === 0 ? random(body.length + 1) : body.length)
  }
  for (let count = 1; count <= requests; count++) {
    const opcode = random(20) === 0 ? random(70_000) : (opcodes[random(opcodes.length)] ?? 0)
    if (opcode === 26) continue
    const body = bodyOf()
    const length = random(10) === 0 ? random(200) : 40 + body.length
    const bytes = Buffer.concat([header(opcode, count * 2, random(6), length), body])
    await ask(random(30) === 0 ? bytes.subarray(0, 1 + random(39)) : bytes)
    rig.clock.advance(random(50) === 0 ? 5000 : 0)
  }
  await rig.pass(60_000)
  readNow(other, answers)
  await ask(Buffer.concat([header(lookup, 2_000_001, 1, 42), Buffer.from('a\0')]))
  await rig.pass(10_000)
  const told = Math.max(readNow(other, answers), 0)
  const errors = new Map<number, number>()
  for (
    let at = 0;
    at + 16 <= answers.length && answers.readUInt32LE(at) >= 16;
    at += answers.readUInt32LE(at)
  )
    errors.set(answers.readUInt32LE(at + 8), answers.readInt32LE(at + 4))
  t.ok(notFoundOrEntry.includes(errors.get(2_000_001) ?? 1), `${told} bytes, ${[...errors].join('; ')}`)
})
