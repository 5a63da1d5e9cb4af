/**
 * A record as the filesystem sees it. Layer: write-back.
 */
import type { LocalEntry } from '../local-changes.ts'
import { isDone, type PathRecord } from '../record.ts'
import { nameOf } from '../../remote-path.ts'

export function entryOf(record: PathRecord): LocalEntry {
  const entry = stateOf(record)
  return isDone(record) && !record.scratch ? { ...entry, confirmed: true } : entry
}

function stateOf(record: PathRecord): LocalEntry {
  const { desired, remote, path } = record
  switch (desired.is) {
    case 'absent':
      return absent
    case 'directory':
      return remote.is === 'directory' || remote.is === 'uncertain' ? remoteDirectory : localDirectory
    case 'file': {
      if (desired.from === 'spool') {
        return { kind: 'file', size: desired.copy.size, content: { from: 'spool', copy: desired.copy } }
      }
      if (desired.from === 'remote') {
        const { listed } = desired
        return { kind: 'file', size: listed.size, content: { from: 'remote', path: desired.path, listed } }
      }
      const modifiedSeconds = remote.is === 'file' ? (remote.modifiedSeconds ?? 0) : 0
      const listed = { name: nameOf(path), isDirectory: false, size: desired.size, modifiedSeconds }
      return { kind: 'file', size: desired.size, content: { from: 'remote', path, listed } }
    }
  }
}

const absent: LocalEntry = { kind: 'absent' }
const localDirectory: LocalEntry = { kind: 'directory', remote: false }
const remoteDirectory: LocalEntry = { kind: 'directory', remote: true }
