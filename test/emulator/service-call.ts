/** One call of the service, for tests of the emulator. */

import { agent, session, type TestEmulator } from '../emulator-server.ts'

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly json: unknown
}

/** `target` is a URL, or what follows the seeded session's resource. Rejects when the connection breaks. */
export async function call(
  emulator: Pick<TestEmulator, 'endpoint' | 'token'>,
  method: string,
  target: string,
  init: { readonly body?: string; readonly signal?: AbortSignal } = {},
): Promise<Answer> {
  const base = `${emulator.endpoint}/agents/${agent}/endpoint/sessions/${session}`
  const url = new URL(target.startsWith('http') ? target : base + target)
  url.searchParams.set('api-version', 'v1')
  const response = await fetch(url, {
    ...init,
    method,
    headers: { authorization: `Bearer ${emulator.token}`, connection: 'close' },
  })
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.startsWith('application/json') === true
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: isJson ? JSON.parse(text) : undefined,
  }
}
