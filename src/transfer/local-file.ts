/**
 * A file of this machine that is being received. Layer: transfer.
 *
 * Invariant: under its name there is the old file or the whole new one; what is received goes beside it, under a
 * name of its own, and is gone when it fails. The mode of a file that is replaced stays.
 */
import { randomBytes } from 'node:crypto'
import { chmod, lstat, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** Receives `body` as `path`, whose directory exists. Returns the number of bytes; throws what `body` or the disk does. */
export async function receiveFile(
  path: string,
  body: AsyncIterable<Uint8Array>,
  onBytes: (count: number) => void,
): Promise<number> {
  const temporary = join(dirname(path), `.mount-session-${randomBytes(9).toString('base64url')}.part`)
  const file = await open(temporary, 'wx', 0o666)
  let received = 0
  try {
    try {
      for await (const piece of body) {
        for (let at = 0; at < piece.length;) at += (await file.write(piece, at)).bytesWritten
        received += piece.length
        onBytes(piece.length)
      }
    } finally {
      await file.close()
    }
    const before = await lstat(path).catch(() => undefined)
    if (before?.isFile() === true) await chmod(temporary, before.mode & 0o7777)
    await rename(temporary, path)
    return received
  } catch (error) {
    /* of a transfer that failed the progress is taken back */
    onBytes(-received)
    await rm(temporary, { force: true })
    throw error
  }
}

const forbiddenOnWindows = /[<>:"\\|?*\u0000-\u001f]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i

/** Why a name of the service cannot be one here; undefined when it can. The client has refused `/`, `.` and `..`. */
export function whyNotLocal(name: string, platform: NodeJS.Platform = process.platform): string | undefined {
  if (platform !== 'win32' || !forbiddenOnWindows.test(name)) return undefined
  return 'Windows cannot have a file of this name: rename it in the session'
}

/** Under which two names that this system takes for the same are the same. */
export function foldName(name: string, platform: NodeJS.Platform = process.platform): string {
  return platform === 'darwin' || platform === 'win32' ? name.normalize('NFC').toLowerCase() : name
}
