import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { mountSession, SessionClient, startEmulator } from '../src/index.ts'

async function run(command: string, ...args: string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
  await once(child, 'close')
  return said
}

/** An emulator with one session, and what a mount of that needs. */
async function prepare() {
  const work = mkdtempSync(join(tmpdir(), 'mount-session-library-'))
  const directory = join(work, 'mount')
  mkdirSync(directory)
  const address = { agent: 'agent', session: 'session-1' }
  const emulator = await startEmulator({ data: join(work, 'data'), seed: [address] })
  const { endpoint, token } = emulator
  const roots = { stateRoot: join(work, 'state'), cacheRoot: join(work, 'cache') }
  return { work, directory, emulator, options: { endpoint, token, ...address, directory, ...roots } }
}

void t.test('as a library: an emulator, a client of it, and a mount of the session', async (t) => {
  const { work, directory, emulator, options } = await prepare()
  const { endpoint, token } = emulator
  const client = new SessionClient({ endpoint, credential: { token } })
  await client.uploadSessionFile('agent', 'session-1', 'hello.txt', Buffer.from('hello\n'))
  await client.close()
  const mounted = await mountSession(options)
  try {
    t.equal(await run('cat', join(directory, 'hello.txt')), 'hello\n')
    await run('sh', '-c', `echo world > ${directory}/world.txt`)
    await mounted.sync()
    t.equal(readFileSync(join(emulator.filesDirectory('agent', 'session-1'), 'world.txt'), 'utf8'), 'world\n')
    t.same(await mounted.drain(), [])
  } finally {
    await mounted.unmount()
    await mounted.done
    await mounted.close()
    const closed = { code: 'closed', message: /this mount is closed: make a new one$/ }
    await t.rejects(mounted.drain(), closed)
    await t.rejects(mounted.sync(), closed)
    await emulator.close()
  }
  rmSync(work, { recursive: true })
})

void t.test('what is unmounted, and has sent everything, can be mounted again at once', async (t) => {
  const { work, directory, emulator, options } = await prepare()
  const first = await mountSession(options)
  await run('sh', '-c', `echo hello > ${directory}/hello.txt`)
  await first.drain()
  await first.unmount()
  await first.done
  const second = await mountSession(options)
  t.equal(await run('cat', join(directory, 'hello.txt')), 'hello\n')
  await second.unmount()
  await second.done
  await Promise.all([first.close(), second.close()])
  await emulator.close()
  rmSync(work, { recursive: true })
})
