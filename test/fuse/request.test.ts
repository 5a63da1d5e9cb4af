import t from 'tap'
import { FilesystemError } from '../../src/filesystem/errors.ts'
import { Request } from '../../src/fuse/request.ts'

const request = (): Request => new Request(new DataView(new ArrayBuffer(40)))

void t.test('a signal looked at before the interruption is aborted by it', (t) => {
  const waiting = request()
  const { signal } = waiting
  t.equal(signal.aborted, false)
  waiting.interrupt()
  t.equal(signal.aborted, true)
  t.match(signal.reason, new FilesystemError('interrupted', 'the caller was interrupted'))
  t.equal(waiting.signal, signal)
  t.end()
})

void t.test('a signal looked at only afterwards is aborted from the start', (t) => {
  const late = request()
  late.interrupt()
  late.interrupt()
  t.equal(late.signal.aborted, true)
  t.end()
})
