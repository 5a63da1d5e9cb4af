/** A test of the wire is run over HTTP/1.1 and, on an emulator with TLS, over HTTP/2. */

import t, { type Test } from 'tap'
import type { EmulatorOptions } from '../../src/emulator/emulator.ts'

/** How the emulator of a test is to be started. */
export const protocolOf = (test: Test): Pick<EmulatorOptions, 'tls'> => test.context as { tls: boolean }

export function overEachProtocol(name: string, run: (t: Test) => Promise<void>): void {
  for (const [protocol, tls] of [['HTTP/1.1', false] as const, ['HTTP/2', true] as const]) {
    void t.test(`${name}, over ${protocol}`, async (t) => {
      t.context = { tls } satisfies Pick<EmulatorOptions, 'tls'>
      await run(t)
    })
  }
}
