/**
 * The body of an answer over streams that end in unusual ways.
 */
import { Readable } from 'node:stream'
import t from 'tap'
import { connectionFailure } from '../../src/client/connection-failure.ts'
import { ProgressWatch } from '../../src/client/progress-watch.ts'
import { ReplyBody } from '../../src/client/reply-body.ts'
import { FakeClock } from '../fake-clock.ts'

/** As a stream of node:http2: it says that it is closed as soon as the other side has closed it, read or not. */
class EarlyClosed extends Readable {
  constructor() {
    super()
    Object.defineProperty(this, 'closed', { get: () => true })
  }

  override _read(): void {
    return
  }
}

function bodyOf(stream: Readable, length?: number): { body: ReplyBody; ends: (Error | undefined)[] } {
  const ends: (Error | undefined)[] = []
  const body = new ReplyBody(stream, {
    what: 'get f',
    length,
    watch: new ProgressWatch(new FakeClock(), () => undefined),
    timeouts: { stallMs: 0, unreadMs: 0 },
    fail: (cause) => connectionFailure({ what: 'get f', cause, ambiguous: false, answered: true }),
    onBytes: () => undefined,
    onEnd: (_, error) => ends.push(error),
  })
  return { body, ends }
}

const later = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

void t.test('an answer that had come whole before anybody read it is whole', async (t) => {
  const stream = new EarlyClosed()
  stream.push('12')
  stream.push('34')
  stream.push(null)
  const { body, ends } = bodyOf(stream, 4)
  await later()
  t.equal((await body.whole(10)).toString(), '1234')
  await later()
  t.strictSame(ends, [undefined])
})

void t.test('a stream that was destroyed before anybody listened fails, and ends once', async (t) => {
  const stream = new EarlyClosed()
  stream.on('error', () => undefined)
  stream.destroy(new Error('reset'))
  await later()
  const { body, ends } = bodyOf(stream, 4)
  await t.rejects(body.whole(10), { code: 'truncated' })
  await later()
  t.equal(ends.length, 1)
  t.match(ends[0], { code: 'truncated' })
})

void t.test('an answer over the limit ends its transfer', async (t) => {
  const stream = new EarlyClosed()
  stream.push('12345')
  const { body, ends } = bodyOf(stream)
  await t.rejects(body.whole(4), { code: 'protocol' })
  t.equal(stream.destroyed, true)
  t.strictSame(ends, [undefined])
})
