/**
 * The client keeps the contract over a real service, when the environment names one:
 * FOUNDRY_PROJECT_ENDPOINT and MOUNT_SESSION_TEST_TARGET=AGENT/SESSION, with MOUNT_SESSION_TOKEN or a login.
 * Everything is made below one new directory, which is removed again.
 */
import { randomUUID } from 'node:crypto'
import { env } from 'node:process'
import t from 'tap'
import { SessionClient } from '../../src/client/session-client.ts'
import { sessionFiles } from '../../src/client/remote-files.ts'
import { sessionFilesContract } from './session-files-contract.ts'

const endpoint = env['FOUNDRY_PROJECT_ENDPOINT']
const [agent, session] = (env['MOUNT_SESSION_TEST_TARGET'] ?? '').split('/')
const token = env['MOUNT_SESSION_TOKEN']
const skip = endpoint === undefined || !agent || !session ? 'no live service is named' : false

void t.test('the client keeps the contract over the live service', { skip, timeout: 900_000 }, async (t) => {
  if (endpoint === undefined || agent === undefined || session === undefined) return
  const client = new SessionClient({ endpoint, credential: token === undefined ? undefined : { token } })
  const base = `contract-${randomUUID()}`
  t.teardown(async () => {
    await client.deleteSessionFile(agent, session, base, { recursive: true }).catch(() => undefined)
    await client.close()
  })
  const { maxFileBytes } = client
  await sessionFilesContract(t, {
    files: sessionFiles(client, agent, session),
    base,
    maxFileBytes,
    manyFiles: 120,
  })
})
