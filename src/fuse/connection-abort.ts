/**
 * Ends a mount whatever its daemon does, by fusectl. Layer: fuse.
 *
 * Invariant: touches nothing of the mounted filesystem. Programs that wait for it get ECONNABORTED or EIO.
 */
import { writeFileSync } from 'node:fs'

const connections = '/sys/fs/fuse/connections'

/** `device` as the mount table has it. False where there is no such connection, or it cannot be reached. */
export function abortConnection(device: string): boolean {
  const [, minor = ''] = device.split(':')
  try {
    writeFileSync(`${connections}/${minor}/abort`, '1')
    return true
  } catch {
    return false
  }
}
