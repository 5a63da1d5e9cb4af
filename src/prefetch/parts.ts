/**
 * The parts of the fetching ahead, each of which can be left out to measure what it brings. Layer: prefetch.
 *
 * Invariant: leaving a part out changes how long something takes, never what is answered.
 */
export const prefetchParts = ['walks', 'repositories', 'pace'] as const

/**
 * Listings and files on the way of a walk; what git reads of a repository; and that a walk fetches no more than it
 * will use in time.
 */
export type PrefetchPart = (typeof prefetchParts)[number]
