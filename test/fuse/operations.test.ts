import t from 'tap'
import { readFileSync } from 'node:fs'
import { NotifyCode, Opcode } from '../../src/fuse/protocol.ts'
import { operations, operationsByOpcode, opcodeName } from '../../src/fuse/operations.ts'

void t.test('every opcode of the protocol is in the table, and nothing else', (t) => {
  t.same(Object.keys(operations).sort(), Object.keys(Opcode).sort())
  t.equal(operationsByOpcode.size, Object.keys(Opcode).length)
  t.end()
})

void t.test('whatever is not implemented says why', (t) => {
  for (const [name, operation] of Object.entries(operations)) {
    if (operation.kind === 'implemented') continue
    t.ok(operation.reason.length > 10, name)
    if (operation.kind === 'refused') t.ok(operation.errno > 0, `${name} has an errno`)
  }
  t.end()
})

void t.test('opcodes are numbered without doubles, and named in log lines', (t) => {
  const numbers = Object.values(Opcode)
  t.equal(new Set(numbers).size, numbers.length)
  t.equal(opcodeName(Opcode.readdirplus), 'readdirplus')
  t.equal(opcodeName(77), '77')
  t.end()
})

/** The machine's own header, where the kernel's headers are installed; it may be older than the table. */
function header(): string | undefined {
  try {
    return readFileSync('/usr/include/linux/fuse.h', 'utf8')
  } catch {
    return undefined
  }
}

function constants(text: string, prefix: string): Map<string, number> {
  const found = new Map<string, number>()
  for (const match of text.matchAll(new RegExp(`^\\t${prefix}(\\w+)\\s*= (\\d+),`, 'gm'))) {
    found.set(match[1]!.toLowerCase().replaceAll('_', ''), Number(match[2]))
  }
  return found
}

void t.test(
  'the numbers agree with linux/fuse.h',
  { skip: header() === undefined && 'no kernel headers' },
  (t) => {
    const text = header()!
    const enumeration = /enum fuse_opcode \{([^}]*)\}/.exec(text)![1]!
    const ours = new Map(Object.entries(Opcode).map(([name, value]) => [name.toLowerCase(), value as number]))
    for (const [name, value] of constants(enumeration, 'FUSE_')) {
      if (name.includes('bswap')) continue
      t.equal(ours.get(name), value, name)
    }
    const codes = constants(/enum fuse_notify_code \{([^}]*)\}/.exec(text)![1]!, 'FUSE_NOTIFY_')
    t.equal(codes.get('invalinode'), NotifyCode.invalidateInode)
    t.equal(codes.get('invalentry'), NotifyCode.invalidateEntry)
    t.equal(codes.get('delete'), NotifyCode.delete)
    t.end()
  },
)
