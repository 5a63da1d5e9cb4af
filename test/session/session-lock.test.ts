import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { acquireSessionLock, isSessionHeld } from '../../src/session/session-lock.ts'

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

void t.test('whether a session is held is found out without taking it', (t) => {
  const stateDirectory = t.testdir()
  t.equal(isSessionHeld(stateDirectory), false, 'nothing is made by asking')
  const lock = acquireSessionLock(stateDirectory, { pid: 42, directory: undefined })
  t.equal(isSessionHeld(stateDirectory), true)
  lock.release()
  t.equal(isSessionHeld(stateDirectory), false)
  t.end()
})

void t.test('a lock whose file is removed is taken again in a new one, which nobody else can read', (t) => {
  const stateDirectory = t.testdir()
  const lock = acquireSessionLock(stateDirectory, { pid: 42, directory: '/mnt/a' })
  t.equal(lock.isThere(), true)
  rmSync(join(stateDirectory, 'lock'))
  t.equal(lock.isThere(), false)
  lock.renew()
  t.equal(lock.isThere(), true)
  t.equal(statSync(join(stateDirectory, 'lock')).mode & 0o777, 0o600)
  t.throws(() => acquireSessionLock(stateDirectory, { pid: 43, directory: undefined }), {
    code: 'held',
    holder: { pid: 42 },
  })
  lock.release()
  t.end()
})

void t.test('of two that take the lock in a new file the first has it', (t) => {
  const stateDirectory = t.testdir()
  const first = acquireSessionLock(stateDirectory, { pid: 42, directory: undefined })
  rmSync(join(stateDirectory, 'lock'))
  const second = acquireSessionLock(stateDirectory, { pid: 43, directory: undefined })
  t.throws(() => first.renew(), { code: 'held', holder: { pid: 43 } })
  second.release()
  first.release()
  t.end()
})
