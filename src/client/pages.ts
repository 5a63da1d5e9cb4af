/**
 * Paging by the cursor of the reply. Layer: client.
 *
 * Invariant: either every page is seen or the caller is told; a cursor that comes twice would list for ever.
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

export function pageQuery(options: ListOptions, after: string | undefined): QueryParameters {
  return { limit: options.pageSize ?? pageLimit, order: options.order, after }
}

/**
 * The pages of a listing. `lastOf` names the last entry of a page, for a server that says there is more
 * and not after what. Fails with `protocol` when there is more and no new cursor to get it with.
 */
export async function* pages<P extends CursorPage>(
  what: string,
  fetch: (after: string | undefined) => Promise<P>,
  lastOf: (page: P) => string | undefined,
): AsyncGenerator<P, void, undefined> {
  const seen = new Set<string>()
  let after: string | undefined
  for (;;) {
    const page = await fetch(after)
    yield page
    if (page.has_more !== true) return
    after = page.last_id != null && page.last_id !== '' ? page.last_id : lastOf(page)
    if (after === undefined || seen.has(after))
      throw new ServiceError('protocol', `${what}: there is more, but the cursor does not move on`)
    seen.add(after)
  }
}
