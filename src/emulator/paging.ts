/**
 * Pages as the service cuts them: `limit`, `order`, `after`, `before`, `has_more`. Layer: emulator.
 *
 * Invariant: a cursor is a position in the order, not an item, so that paging goes on when the item it
 * names has been deleted meanwhile.
 */

import { badRequest } from './envelope.ts'

export interface PageQuery {
  readonly limit: number
  readonly descending: boolean
  readonly after: string | undefined
  readonly before: string | undefined
}

export interface Page<Item> {
  readonly items: readonly Item[]
  readonly hasMore: boolean
}

/** A page as the service shows it; an empty one has no ids, or a client that follows `last_id` never ends. */
export function pageBody<Item>(
  { items, hasMore }: Page<Item>,
  resource: (item: Item) => object,
  idOf: (item: Item) => string,
): object {
  const [first, last] = [items[0], items.at(-1)]
  const ids = first === undefined || last === undefined ? {} : { first_id: idOf(first), last_id: idOf(last) }
  return { data: items.map(resource), ...ids, has_more: hasMore }
}

const defaultLimit = 20
const maxLimit = 100

/** Reads the paging part of a query; `cap` is the emulator's own bound on a page. */
export function readPageQuery(query: Readonly<Record<string, unknown>>, cap: number): PageQuery {
  const wanted = query['limit'] ?? String(defaultLimit)
  const limit = typeof wanted === 'string' && /^\d+$/.test(wanted) ? Number(wanted) : NaN
  if (!(limit >= 1 && limit <= maxLimit)) {
    throw badRequest(`The parameter 'limit' must be between 1 and ${maxLimit}.`)
  }
  const order = query['order'] ?? 'asc'
  if (order !== 'asc' && order !== 'desc') throw badRequest("The parameter 'order' must be 'asc' or 'desc'.")
  return {
    limit: Math.min(limit, cap),
    descending: order === 'desc',
    after: optionalText(query, 'after'),
    before: optionalText(query, 'before'),
  }
}

function optionalText(query: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = query[name]
  if (value === undefined || value === '') return undefined
  if (typeof value !== 'string') throw badRequest(`The parameter '${name}' was given twice.`)
  return value
}

/**
 * One page of `items`, which are in the order asked for. `position` places an item in that order, and
 * `after` and `before` are positions; both compare by code unit, turned round when descending.
 */
export function cutPage<Item>(
  items: readonly Item[],
  query: PageQuery,
  position: (item: Item) => string,
  after: string | undefined,
  before: string | undefined,
): Page<Item> {
  const follows = (a: string, b: string): boolean => (query.descending ? a < b : a > b)
  const rest = items.filter(
    (item) =>
      (after === undefined || follows(position(item), after)) &&
      (before === undefined || follows(before, position(item))),
  )
  const backwards = before !== undefined && after === undefined
  return {
    items: backwards ? rest.slice(-query.limit) : rest.slice(0, query.limit),
    hasMore: rest.length > query.limit,
  }
}
