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
  for await (const page of pages('list x', fetch, (page) => page.names)) names.push(...page.names)
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

void t.test('pages without end are an error, whether they bring nothing new or ever more', async (t) => {
  const endless = (namesOf: (page: number) => string[]) => {
    let asked = 0
    const fetch = (): Promise<Numbers> => {
      asked += 1
      return Promise.resolve({ names: namesOf(asked), has_more: true, last_id: `cursor-${asked}` })
    }
    const all = async (): Promise<void> => {
      for await (const page of pages('list x', fetch, (each) => each.names)) t.ok(page.has_more)
    }
    return { all, asked: () => asked }
  }
  const same = endless(() => ['a', 'b'])
  await t.rejects(same.all(), { code: 'protocol', message: /20 pages in a row brought no new name/ })
  t.equal(same.asked(), 21)
  const empty = endless(() => [])
  await t.rejects(empty.all(), { code: 'protocol', message: /20 pages in a row/ })
  t.equal(empty.asked(), 20)
  const more = endless((page) => Array.from({ length: 10_000 }, (_, index) => `${page}-${index}`))
  await t.rejects(more.all(), { code: 'protocol', message: /over 1000000 names/ })
  t.equal(more.asked(), 101)
  const long = { names: ['a'], has_more: true, last_id: 'x'.repeat(10_000) }
  await t.rejects(read([long]), { code: 'protocol' })
})

void t.test('now and then a new name is enough to go on', async (t) => {
  const script = Array.from({ length: 100 }, (_, page) => ({
    names: [`${Math.floor(page / 20)}`],
    has_more: page < 99,
    last_id: `cursor-${page}`,
  }))
  t.equal((await read(script)).asked.length, 100)
})
