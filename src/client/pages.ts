/**
 * Paging by the cursor of the reply. Layer: client.
 *
 * Invariant: either every page is seen or the caller is told, and it ends: a cursor that comes twice would list
 * for ever, and so would ever new ones that bring nothing new, or more names than anything has.
 */
import type { QueryParameters } from './endpoint.ts'
import { ServiceError } from './errors.ts'
import type { ListOptions } from './operation-options.ts'

export interface CursorPage {
  readonly has_more?: boolean | null | undefined
  readonly last_id?: string | null | undefined
}

/** As many entries as the service gives at once. */
const pageLimit = 100
/** Empty pages may come from a server that filters; these in a row come from one that goes round in a circle. */
const maxBarrenPages = 20
const maxNames = 1_000_000
/** No address takes more. */
const maxCursorChars = 8192

export function pageQuery(options: ListOptions, after: string | undefined): QueryParameters {
  return { limit: options.pageSize ?? pageLimit, order: options.order, after }
}

/**
 * The pages of a listing. `namesOf` are those of a page's entries, undefined for one without; the last is asked
 * after where a server says that there is more and not after what. Fails with `protocol` when there is more
 * and no new cursor to get it with, or no end to be seen.
 */
export async function* pages<P extends CursorPage>(
  what: string,
  fetch: (after: string | undefined) => Promise<P>,
  namesOf: (page: P) => readonly (string | undefined)[],
): AsyncGenerator<P, void, undefined> {
  const cursors = new Set<string>()
  const names = new Set<string>()
  let barren = 0
  let after: string | undefined
  const fail = (why: string): never => {
    throw new ServiceError('protocol', `${what}: there is more, but ${why}`)
  }
  for (;;) {
    const page = await fetch(after)
    yield page
    if (page.has_more !== true) return
    const known = names.size
    const onPage = namesOf(page)
    for (const name of onPage) if (name !== undefined) names.add(name)
    barren = names.size > known ? 0 : barren + 1
    if (barren >= maxBarrenPages) fail(`${barren} pages in a row brought no new name`)
    if (names.size > maxNames) fail(`it is over ${maxNames} names already`)
    after = page.last_id != null && page.last_id !== '' ? page.last_id : onPage.at(-1)
    if (after === undefined || cursors.has(after) || after.length > maxCursorChars)
      return fail('the cursor does not move on')
    cursors.add(after)
  }
}
