import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import t from 'tap'
import { acquireSessionLock } from '../../src/session/session-lock.ts'

const lockModule = new URL('../../src/session/session-lock.ts', import.meta.url).href

/** A process that takes the lock, says so, and holds it until it is killed. */
const holding = (stateDirectory: string): string => `
  const { acquireSessionLock } = await import(${JSON.stringify(lockModule)})
  acquireSessionLock(${JSON.stringify(stateDirectory)}, { pid: process.pid, directory: '/mnt/other' })
  console.log('held')
  setInterval(() => {}, 1000)`

void t.test('the second one is told who holds the session', (t) => {
  const stateDirectory = t.testdir()
  const lock = acquireSessionLock(stateDirectory, { pid: 42, directory: '/mnt/a' })
  t.throws(() => acquireSessionLock(stateDirectory, { pid: 43, directory: '/mnt/b' }), {
    name: 'ControlError',
    code: 'held',
    message: 'this session is held by pid 42, mounted at /mnt/a',
    holder: { pid: 42, directory: '/mnt/a' },
  })
  lock.release()
  acquireSessionLock(stateDirectory, { pid: 43, directory: undefined }).release()
  t.end()
})

void t.test('the lock of another process is held until that is killed, and then free at once', async (t) => {
  const stateDirectory = t.testdir()
  const child = spawn(process.execPath, ['--input-type=module', '--eval', holding(stateDirectory)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(createInterface(child.stdout), 'line')
  t.throws(() => acquireSessionLock(stateDirectory, { pid: process.pid, directory: undefined }), {
    code: 'held',
    holder: { pid: child.pid, directory: '/mnt/other' },
  })
  child.kill('SIGKILL')
  await once(child, 'exit')
  acquireSessionLock(stateDirectory, { pid: process.pid, directory: undefined }).release()
})
