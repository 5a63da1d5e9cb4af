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
