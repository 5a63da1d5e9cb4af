/**
 * A descriptor from one process to another, over a socket whose other end may be dead, frozen or of another kind.
 */
import { closeSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import {
  offerDescriptor,
  onMessages,
  sendMessage,
  takeDescriptor,
  type Taken,
} from '../../src/fuse/descriptor-passing.ts'
import { type Running, start } from '../mount/programs.ts'

const offering = fileURLToPath(new URL('descriptor-offer.ts', import.meta.url))

interface Peer {
  readonly path: string
  readonly running: Running
  readonly pid: number
}

function socketPath(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'mount-session-offer-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return join(directory, 'socket')
}

async function peer(t: Test, path = socketPath(t)): Promise<Peer> {
  writeFileSync(`${path}.content`, 'what it is open on')
  const running = start(process.execPath, [...process.execArgv, offering, path, `${path}.content`])
  const pid = running.child.pid ?? 0
  t.teardown(() => running.child.exitCode === null && running.child.kill('SIGKILL'))
  await running.until((said) => said.includes('offered'))
  return { path, running, pid }
}

async function taken(t: Test, path: string): Promise<Taken> {
  const result = await takeDescriptor(path)
  if (typeof result === 'string') throw new Error(result)
  t.teardown(() => result.socket.destroy())
  t.teardown(() => closeSync(result.descriptor))
  return result
}

void t.test('what one process has open another one reads, and both send lines', async (t) => {
  const { path, running } = await peer(t)
  const { descriptor, socket } = await taken(t, path)
  t.equal(readFileSync(descriptor, 'utf8'), 'what it is open on')
  const message = await new Promise((resolve) => onMessages(socket, resolve))
  t.strictSame(message, { hello: 1 }, 'what is no JSON is left out')
  sendMessage(socket, { text: 'two\nlines' })
  await running.until((said) => said.includes('said {"text":"two\\nlines"}'))
  socket.destroy()
  await running.until((said) => said.includes('gone'))
  t.equal(statSync(path).mode & 0o077, 0, 'nobody else may take it')
})

void t.test('the end of the other process is heard of, and its socket is nobody’s', async (t) => {
  const { path, running } = await peer(t)
  const { socket } = await taken(t, path)
  const closed = new Promise((resolve) => socket.once('close', resolve))
  onMessages(socket, () => undefined)
  running.child.kill('SIGKILL')
  await closed
  /* its descriptors are closed one after the other */
  await running.ended
  t.ok(statSync(path).isSocket(), 'which it left')
  t.equal(await takeDescriptor(path), 'nobody')
  t.equal(await takeDescriptor(`${path}.none`), 'nobody')
  const next = await peer(t, path)
  t.equal(readFileSync((await taken(t, next.path)).descriptor, 'utf8'), 'what it is open on')
})

void t.test('one that is stopped is waited for, and given up when told to', async (t) => {
  const { path, pid, running } = await peer(t)
  process.kill(pid, 'SIGSTOP')
  t.equal(await takeDescriptor(path, { withinMs: 50 }), 'silent')
  const giveUp = new AbortController()
  const given = takeDescriptor(path, { signal: giveUp.signal })
  giveUp.abort()
  t.equal(await given, 'silent')
  const waiting = takeDescriptor(path)
  process.kill(pid, 'SIGCONT')
  const result = await waiting
  if (typeof result === 'string') throw new Error(result)
  t.equal(readFileSync(result.descriptor, 'utf8'), 'what it is open on')
  closeSync(result.descriptor)
  result.socket.destroy()
  await running.until((said) => said.includes('taken'))
})

void t.test('one that dies while it is waited for has ended', async (t) => {
  const { path, pid, running } = await peer(t)
  process.kill(pid, 'SIGSTOP')
  const waiting = takeDescriptor(path)
  await takeDescriptor(path, { withinMs: 50 })
  running.child.kill('SIGKILL')
  t.equal(await waiting, 'ended')
})

void t.test('who waits for many at once can read files meanwhile', async (t) => {
  const { path, pid } = await peer(t)
  process.kill(pid, 'SIGSTOP')
  const giveUp = new AbortController()
  const waiting = Array.from({ length: 20 }, () => takeDescriptor(path, { signal: giveUp.signal }))
  const { readFile } = await import('node:fs/promises')
  t.equal(await readFile(`${path}.content`, 'utf8'), 'what it is open on')
  giveUp.abort()
  t.strictSame(await Promise.all(waiting), Array(20).fill('silent'))
})

void t.test('one that sends something else has offered nothing', async (t) => {
  const path = socketPath(t)
  const server = createServer((socket) => socket.end('x'))
  await new Promise<void>((resolve) => server.listen(path, resolve))
  t.teardown(() => server.close())
  t.equal(await takeDescriptor(path), 'ended')
})

void t.test(
  'an offer that is closed is nobody’s, and one on a path that is too long is refused',
  async (t) => {
    const path = socketPath(t)
    const offer = await offerDescriptor(path, 0, () => undefined)
    offer.close()
    offer.close()
    t.equal(await takeDescriptor(path), 'nobody')
    const long = join(path, '..', 'x'.repeat(120))
    await t.rejects(takeDescriptor(long), /too long for a socket/)
  },
)
