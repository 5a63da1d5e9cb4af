/**
 * What the model tests once found, each as the smallest sequence that failed. Layer: tests.
 */
import t from 'tap'
import { startFrontEnd } from './front-end-subject.ts'
import type { Bytes, Operation } from './operations.ts'
import { replay } from './run.ts'

const some = (fill: number): Bytes => ({ fill, length: 1000 + fill })

const regressions: Readonly<Record<string, readonly Operation[]>> = {
  'empty directories go to the service below a name that was a file': [
    { do: 'foreignWrite', path: 'd', bytes: some(1) },
    { do: 'rename', from: 'd', to: 'b', noReplace: false },
    { do: 'mkdir', path: 'd' },
    { do: 'mkdir', path: 'd/a' },
    { do: 'barrier' },
  ],
  'a directory that the agent replaces by a file is a file, whatever of ours was in it': [
    { do: 'mkdir', path: 'd' },
    { do: 'mkdir', path: 'd/b' },
    { do: 'write', path: 'd/c', bytes: some(2) },
    { do: 'foreignWrite', path: 'd', bytes: some(3) },
    { do: 'check' },
  ],
  'a directory that the agent removes is gone, whatever of ours was in it': [
    { do: 'foreignMkdir', path: 'a/d' },
    { do: 'mkdir', path: 'a/d/e' },
    { do: 'foreignRemove', path: 'a/d' },
    { do: 'append', path: 'a/d', bytes: some(4) },
    { do: 'barrier' },
  ],
  'what was in a directory that the agent removed does not come back with a new one': [
    { do: 'mkdir', path: 'd' },
    { do: 'write', path: 'd/c', bytes: some(5) },
    { do: 'foreignRemove', path: 'd' },
    { do: 'mkdir', path: 'd' },
    { do: 'check' },
    { do: 'barrier' },
  ],
  'our own upload is nobody else’s change after its directory was renamed': [
    { do: 'mkdir', path: 'a' },
    { do: 'mkdir', path: 'a/d' },
    { do: 'rename', from: 'a', to: 'b', noReplace: false },
    { do: 'write', path: 'b/d/c', bytes: some(6) },
    { do: 'pass', ms: 11_000 },
    { do: 'open', slot: 1, path: 'b/d/c', mode: 'a+' },
    { do: 'pass', ms: 2000 },
    { do: 'pwrite', slot: 1, offset: 0, bytes: some(7) },
    { do: 'pass', ms: 2000 },
    { do: 'close', slot: 1 },
    { do: 'pass', ms: 100 },
    { do: 'check' },
  ],
  'a file that was opened before the service listed its upload is still ours when it is written to': [
    { do: 'write', path: 'b', bytes: some(8) },
    { do: 'write', path: 'c', bytes: some(9) },
    { do: 'pass', ms: 500 },
    { do: 'rename', from: 'c', to: 'd', noReplace: false },
    { do: 'open', slot: 1, path: 'b', mode: 'r+' },
    { do: 'barrier' },
    { do: 'pwrite', slot: 1, offset: 88, bytes: some(10) },
    { do: 'pass', ms: 61_000 },
    { do: 'check' },
  ],
  'a file that was renamed while open is still ours when it is written to': [
    { do: 'append', path: 'c', bytes: some(11) },
    { do: 'write', path: 'd', bytes: some(12) },
    { do: 'pass', ms: 5000 },
    { do: 'rename', from: 'c', to: 'e', noReplace: false },
    { do: 'open', slot: 3, path: 'e', mode: 'r+' },
    { do: 'rename', from: 'e', to: 'c', noReplace: false },
    { do: 'rename', from: 'c', to: 'b', noReplace: true },
    { do: 'pass', ms: 5000 },
    { do: 'pwrite', slot: 3, offset: 0, bytes: { fill: 13, length: 90_000 } },
    { do: 'rename', from: 'd', to: 'b', noReplace: false },
    { do: 'pass', ms: 5000 },
    { do: 'check' },
  ],
  'an unlinked file that one descriptor changed is there for the others after that one is closed': [
    { do: 'write', path: 'a', bytes: some(14) },
    { do: 'crash' },
    { do: 'open', slot: 0, path: 'a', mode: 'r' },
    { do: 'open', slot: 3, path: 'a', mode: 'a+' },
    { do: 'unlink', path: 'a' },
    { do: 'ftruncate', slot: 3, size: 0 },
    { do: 'close', slot: 3 },
    { do: 'pass', ms: 61_000 },
    { do: 'pread', slot: 0, offset: 0, length: 2774 },
  ],
  'a file takes the name of the directory that it was in': [
    { do: 'mkdir', path: 'b' },
    { do: 'mkdir', path: 'b/d' },
    { do: 'write', path: 'b/d/d', bytes: some(15) },
    { do: 'barrier' },
    { do: 'rename', from: 'b/d/d', to: 'b/e', noReplace: false },
    { do: 'rmdir', path: 'b/d' },
    { do: 'rename', from: 'b/e', to: 'b/d', noReplace: false },
    { do: 'barrier' },
  ],
  'a directory takes the name of a file whose upload ends after the daemon': [
    { do: 'write', path: 'd', bytes: some(16) },
    { do: 'fault', verb: 'upload', applied: 'late', times: 2 },
    { do: 'pass', ms: 2000 },
    { do: 'unlink', path: 'd' },
    { do: 'mkdir', path: 'd' },
    { do: 'hold', verb: 'upload' },
    { do: 'mkdir', path: 'd/c' },
    { do: 'pass', ms: 11_000 },
    { do: 'crash' },
    { do: 'barrier' },
  ],
  'a directory that was asked for before it came to be is there once it is': [
    { do: 'mkdir', path: 'a' },
    { do: 'hold', verb: 'makeDirectory' },
    { do: 'mkdir', path: 'a/c' },
    { do: 'crash' },
    { do: 'truncate', path: 'a/c/d', size: 0 },
    { do: 'letGo' },
    { do: 'check' },
  ],
  'an empty directory comes to be although calls beside it end late': [
    { do: 'mkdir', path: 'b' },
    { do: 'mkdir', path: 'b/b' },
    { do: 'mkdir', path: 'b/e' },
    { do: 'mkdir', path: 'b/b/c' },
    { do: 'fault', verb: 'upload', applied: 'late', times: 2 },
    { do: 'write', path: 'b/b/c/c', bytes: some(17) },
    { do: 'rename', from: 'b/b/c/c', to: 'b/e/d', noReplace: false },
    { do: 'pass', ms: 100 },
    { do: 'unlink', path: 'b/e/d' },
    { do: 'mkdir', path: 'b/e/c' },
    { do: 'barrier' },
  ],
  'what is in a new directory goes along when a directory above it is renamed': [
    { do: 'mkdir', path: 'd' },
    { do: 'mkdir', path: 'd/d' },
    { do: 'mkdir', path: 'c' },
    { do: 'barrier' },
    { do: 'mkdir', path: 'd/d/d' },
    { do: 'append', path: 'd/d/d/b', bytes: some(23) },
    { do: 'pass', ms: 500 },
    { do: 'open', slot: 3, path: 'd/d/d/b', mode: 'a+' },
    { do: 'rename', from: 'd/d', to: 'c/a', noReplace: false },
    { do: 'check' },
    { do: 'barrier' },
  ],
  'an empty directory that was removed and made again is there': [
    { do: 'mkdir', path: 'd' },
    { do: 'barrier' },
    { do: 'rmdir', path: 'd' },
    { do: 'pass', ms: 100 },
    { do: 'mkdir', path: 'd' },
    { do: 'barrier' },
  ],
  'a file goes below a directory that took its name': [
    { do: 'write', path: 'c', bytes: some(18) },
    { do: 'pass', ms: 5000 },
    { do: 'rename', from: 'c', to: 'a', noReplace: false },
    { do: 'mkdir', path: 'c' },
    { do: 'mkdir', path: 'e' },
    { do: 'rename', from: 'a', to: 'e/a', noReplace: false },
    { do: 'rename', from: 'e/a', to: 'c/e', noReplace: false },
    { do: 'barrier' },
  ],
  'the old name of a rename goes although the new one was put twice and late': [
    { do: 'mkdir', path: 'b' },
    { do: 'write', path: 'd', bytes: some(19) },
    { do: 'mkdir', path: 'b/d' },
    { do: 'rename', from: 'd', to: 'c', noReplace: false },
    { do: 'pass', ms: 11_000 },
    { do: 'write', path: 'c', bytes: some(20) },
    { do: 'fault', verb: 'upload', applied: 'late', times: 2 },
    { do: 'rename', from: 'c', to: 'b/d/e', noReplace: false },
    { do: 'write', path: 'b/a', bytes: some(21) },
    { do: 'hold', verb: 'upload' },
    { do: 'pass', ms: 100 },
    { do: 'write', path: 'b/d/e', bytes: some(22) },
    { do: 'letGo' },
    { do: 'pass', ms: 1000 },
    { do: 'check' },
    { do: 'barrier' },
  ],
}

for (const [name, operations] of Object.entries(regressions)) {
  for (const modified of ['zero', 'real'] as const) {
    for (const mkdir of [true, false]) {
      const service = `modified_time ${modified}, ${mkdir ? 'with' : 'without'} mkdir`
      void t.test(`${name} (${service})`, async (t) => {
        t.equal(await replay(() => startFrontEnd({ modified, mkdir }), operations), undefined)
      })
    }
  }
}
