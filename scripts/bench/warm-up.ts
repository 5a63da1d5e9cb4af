/**
 * Requests to the emulator before anything is measured. Layer: benchmark.
 *
 * A service has been running for long. The emulator was started a moment ago, and what it does for the first time is
 * compiled on the two cores that the mount is measured on: of 2,000 uploads the first cost it twice as much as the third.
 *
 * Invariant: nothing of it is left on the service.
 */
import { SessionClient } from '../../src/client/session-client.ts'

const rounds = 3
const directories = 10
const filesInEach = 80
const content = Buffer.alloc(4096, 'warm')

export interface WarmUpOptions {
  readonly endpoint: string
  readonly token: string
  /** The certificate of the emulator, PEM; undefined where it speaks no TLS. */
  readonly ca: string | undefined
  readonly agent: string
  readonly session: string
}

export async function warmUp({ endpoint, token, ca, agent, session }: WarmUpOptions): Promise<void> {
  const client = new SessionClient({ endpoint, credential: { token }, ca })
  const list = async (path: string): Promise<void> => {
    const names = new Set<string>()
    for await (const { name } of client.listSessionFiles(agent, session, path)) names.add(name)
    if (names.size !== filesInEach) throw new Error(`${path} has ${names.size} files, not ${filesInEach}`)
  }
  const names = Array.from(
    { length: directories * filesInEach },
    (_, at) => `warm-up/${at % directories}/${at}`,
  )
  const ofAll = (work: (name: string) => Promise<unknown>): Promise<unknown> => Promise.all(names.map(work))
  try {
    for (let round = 0; round < rounds; round++) {
      await ofAll((name) => client.uploadSessionFile(agent, session, name, content))
      await ofAll(async (name) => (await client.downloadSessionFile(agent, session, name)).bytes())
      for (let at = 0; at < directories; at++) await list(`warm-up/${at}`)
      await ofAll((name) => client.deleteSessionFile(agent, session, name))
    }
    await client.deleteSessionFile(agent, session, 'warm-up', { recursive: true })
  } finally {
    await client.close()
  }
}
