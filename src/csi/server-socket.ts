/**
 * The place of a Unix socket before somebody listens there. Layer: csi.
 *
 * Invariant: only a socket that nobody answers at is removed, so that no second driver takes the place of one that serves.
 */
import { lstat, mkdir, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname } from 'node:path'

/** What an address of a socket can have, the 0 at its end left out. */
const maxBytes = 107

/** Makes the directory and removes what a killed driver left. Rejects when the socket cannot be made there. */
export async function prepareSocketPath(path: string): Promise<void> {
  if (Buffer.byteLength(path) > maxBytes)
    throw new Error(`${path}: the path of a socket can have ${maxBytes} bytes: choose a shorter one`)
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const there = await lstat(path).catch(() => undefined)
  if (there === undefined) return
  if (!there.isSocket()) throw new Error(`${path}: is there already, and no socket`)
  if (await isAnswered(path)) throw new Error(`${path}: another driver serves there: end it first`)
  await rm(path, { force: true })
}

/* on this machine a connection is made or refused at once */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    const end = (answered: boolean): void => {
      socket.destroy()
      resolve(answered)
    }
    socket.once('connect', () => end(true))
    socket.once('error', ({ code }: NodeJS.ErrnoException) => {
      end(code !== 'ECONNREFUSED' && code !== 'ENOENT')
    })
  })
}
