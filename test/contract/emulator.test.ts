/** The client keeps the contract over an emulator, however awkward that is asked to be. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import type { EmulatorOptions } from '../../src/emulator/options.ts'
import { SessionClient } from '../../src/client/session-client.ts'
import { sessionFiles } from '../../src/client/remote-files.ts'
import { agent, session, startTestEmulator } from '../emulator-server.ts'
import { sessionFilesContract } from './session-files-contract.ts'

const maxFileBytes = 2_000_000

const emulators: Readonly<Record<string, Partial<EmulatorOptions>>> = {
  'as the service was recorded': {},
  'with mkdir, real times and pages of 7': { extras: true, modifiedTime: 'real', pageSize: 7 },
  'with shuffled listings and opaque cursors': { listOrder: 'shuffled', cursor: 'opaque', pageSize: 50 },
  'over TLS': { tls: true },
}

for (const [name, options] of Object.entries(emulators)) {
  void t.test(`the client keeps the contract over an emulator ${name}`, async (t) => {
    const emulator = await startTestEmulator(t, { ...options, maxFileBytes })
    const { endpoint, token, certificatePath } = emulator
    const ca = certificatePath === undefined ? undefined : readFileSync(certificatePath, 'utf8')
    const client = new SessionClient({ endpoint, credential: { token }, maxFileBytes, ca })
    t.teardown(() => client.close())
    const base = name === 'over TLS' ? 'below/a/base' : ''
    await sessionFilesContract(t, { files: sessionFiles(client, agent, session), base, maxFileBytes })
    const { reads, writes } = client.load
    t.strictSame(
      [reads.running, reads.waiting, writes.running, writes.waiting],
      [0, 0, 0, 0],
      'no slot is lost',
    )
  })
}
