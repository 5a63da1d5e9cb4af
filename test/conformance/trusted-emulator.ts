/**
 * An emulator over https that this process trusts, as the official SDK refuses plain http, and the
 * credential that opens it.
 */

import * as fs from 'node:fs'
import * as tls from 'node:tls'
import type { Test } from 'tap'
import type { EmulatorOptions } from '../../src/emulator/emulator.ts'
import { startTestEmulator, type TestEmulator } from '../emulator-server.ts'

export interface TestCredential {
  getToken(): Promise<{ token: string; expiresOnTimestamp: number }>
}

export async function startTrustedEmulator(
  t: Pick<Test, 'teardown'>,
  options: Partial<EmulatorOptions> = {},
): Promise<TestEmulator & { readonly credential: TestCredential }> {
  const emulator = await startTestEmulator(t, { ...options, tls: true })
  const trusted = tls.getCACertificates('default')
  tls.setDefaultCACertificates([...trusted, fs.readFileSync(emulator.certificatePath!, 'utf8')])
  t.teardown(() => tls.setDefaultCACertificates(trusted))
  return Object.assign(emulator, {
    credential: {
      getToken: () => Promise.resolve({ token: emulator.token, expiresOnTimestamp: Date.now() + 3_600_000 }),
    },
  })
}

export async function collect(stream: NodeJS.ReadableStream | undefined): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream ?? []) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** What a rejection of the SDK must carry. */
export function failure(
  statusCode: number,
  code?: string,
): { name: string; statusCode: number; code?: string } {
  return { name: 'RestError', statusCode, ...(code === undefined ? {} : { code }) }
}
