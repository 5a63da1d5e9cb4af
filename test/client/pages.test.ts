import t from 'tap'
import { type CursorPage, pages } from '../../src/client/pages.ts'

interface Numbers extends CursorPage {
  readonly names: string[]
}

/** Reads all pages of a script; what was asked for, and the names seen. */
async function read(script: Numbers[]): Promise<{ asked: (string | undefined)[]; names: string[] }> {
  const asked: (string | undefined)[] = []
  const names: string[] = []
  const fetch = (after: string | undefined): Promise<Numbers> => {
    asked.push(after)
    return Promise.resolve(script[asked.length - 1]!)
  }
  for await (const page of pages('list x', fetch, (page) => page.names.at(-1))) names.push(...page.names)
  return { asked, names }
}

void t.test('the cursor is the one of the reply', async (t) => {
  const script = [
    { names: ['a', 'b'], has_more: true, last_id: 'opaque-1' },
    { names: ['c'], has_more: true, last_id: 'opaque-2' },
    { names: ['d'], has_more: false, last_id: 'opaque-3' },
  ]
  t.strictSame(await read(script), {
    asked: [undefined, 'opaque-1', 'opaque-2'],
    names: ['a', 'b', 'c', 'd'],
  })
})

void t.test('without word of more there is none', async (t) => {
  t.strictSame(await read([{ names: ['a'] }]), { asked: [undefined], names: ['a'] })
  t.strictSame(await read([{ names: ['a'], has_more: null, last_id: 'a' }]), {
    asked: [undefined],
    names: ['a'],
  })
})

void t.test('a server that sends no cursor is asked after the last entry', async (t) => {
  const script = [{ names: ['a', 'b'], has_more: true, last_id: null }, { names: ['c'] }]
  t.strictSame(await read(script), { asked: [undefined, 'b'], names: ['a', 'b', 'c'] })
})

void t.test('an empty page is no end while there is more', async (t) => {
  const script = [{ names: [], has_more: true, last_id: 'x' }, { names: ['c'] }]
  t.strictSame(await read(script), { asked: [undefined, 'x'], names: ['c'] })
})

void t.test(
  'a cursor that does not move on is an error, not a listing without end or one cut short',
  async (t) => {
    const same = { names: ['a'], has_more: true, last_id: 'a' }
    const other = { names: ['b'], has_more: true, last_id: 'b' }
    await t.rejects(read([same, same]), { code: 'protocol' })
    await t.rejects(read([same, other, same]), { code: 'protocol' })
    await t.rejects(read([{ names: [], has_more: true }]), { code: 'protocol' })
  },
)
