/**
 * How people write what is mounted: `AGENT/SESSION`, `AGENT/` for all sessions of an agent, and `:PATH` behind the
 * session for one directory of it. Layer: options.
 *
 * Invariant: what is shown can be typed again, and means the same.
 */

/** `AGENT/SESSION`, or `AGENT/` without a session. */
export function showAddress({
  agent,
  session,
}: {
  readonly agent: string
  readonly session?: string | undefined
}): string {
  return `${agent}/${session ?? ''}`
}

/** The same with the part of the session that is mounted. */
export function showMounted(
  mounted: Parameters<typeof showAddress>[0] & { readonly subdirectory?: string | undefined },
): string {
  const { subdirectory } = mounted
  return `${showAddress(mounted)}${subdirectory === undefined ? '' : `:${subdirectory}`}`
}
