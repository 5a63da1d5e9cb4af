import t from 'tap'
import { isConnectionFrame } from '../../src/logs/connection-frame.ts'

void t.test("the session's state and status lines speak of the connection", (t) => {
  t.ok(isConnectionFrame('{"timestamp":"2026-01-02T03:04:05Z","session_state":"Running","agent":"a"}'))
  t.ok(isConnectionFrame('{"timestamp":"2026-01-02T03:04:05Z","stream":"status","message":"connected"}'))
  t.end()
})

void t.test('console output does not, whatever it says', (t) => {
  const output = [
    '{"timestamp":"2026-01-02T03:04:05Z","stream":"stdout","message":"\\"status\\" \\"session_state\\""}',
    '{"stream":"stdout","status":"status"}',
    '{"message":"session_state"}',
    '{"session_state": cut off',
    '["session_state"]',
    '"session_state"',
    'null',
    '',
  ]
  for (const line of output) t.notOk(isConnectionFrame(line), line)
  t.end()
})
