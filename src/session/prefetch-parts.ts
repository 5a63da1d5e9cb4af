/**
 * The names of the parts of the fetching ahead, for those above who say what a session leaves out. Layer: session.
 *
 * Invariant: names only; what a part does is the prefetch's own.
 */
export { prefetchParts, type PrefetchPart } from '../prefetch/parts.ts'
