import t from 'tap'
import { SummingLogger } from '../../src/cli/log-repeats.ts'
import { silentLogger } from '../../src/log.ts'
import { FakeClock } from '../fake-clock.ts'

void t.test('what is said again and again is summed up, whatever path it is about', (t) => {
  const clock = new FakeClock()
  const said: string[] = []
  const note = (fields: object, message: string): void =>
    void said.push(`${JSON.stringify(fields)} ${message}`)
  const logger = new SummingLogger({ ...silentLogger, warn: note, error: note, debug: note }, clock)
  const failure = { error: { code: 'server_error' } }
  for (let index = 1; index <= 1000; index++) {
    logger.warn(failure, `stat failed: file-${index}`)
    clock.advance(5)
  }
  logger.warn({ error: { code: 'network' } }, 'stat failed: another reason is another line')
  logger.error(failure, 'stat failed: another level, too')
  t.equal(said.length, 7)
  clock.advance(10_000)
  t.same(said.slice(7), [
    '{"error":{"code":"server_error"},"repeated":995} stat failed: file-1000 (the last of 995 more like this)',
  ])
  logger.warn(failure, 'stat failed: later')
  t.match(said.at(-1), 'stat failed: later', 'a while later each is said again')
  for (let index = 0; index < 20; index++) logger.debug({}, 'as often as it is')
  t.equal(said.length, 29)
  t.end()
})
