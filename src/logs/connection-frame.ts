/**
 * Which payloads speak of the connection rather than of the console. Layer: logs.
 *
 * Invariant: this decides only what takes part in the comparison after a reconnect; every payload is
 * recorded as it is.
 */

/**
 * The service opens each stream with `{"session_id", "session_state", …}` and tells of the connection with
 * `{"stream": "status", …}`, both stamped with the time at which it says so.
 */
export function isConnectionFrame(line: string): boolean {
  if (!line.startsWith('{') || !(line.includes('"session_state"') || line.includes('"status"'))) return false
  let payload: unknown
  try {
    payload = JSON.parse(line)
  } catch {
    return false /* console output that looks like it */
  }
  return (
    typeof payload === 'object' &&
    payload !== null &&
    ('session_state' in payload || ('stream' in payload && payload.stream === 'status'))
  )
}
