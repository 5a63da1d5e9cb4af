import t from 'tap'
import { ServiceError, type ServiceErrorCode } from '../../src/client/errors.ts'
import { defaultRetryPolicy, retryAfterMs, retryDelay } from '../../src/client/retry.ts'

const policy = { attempts: 5, baseMs: 1000, capMs: 60_000, elapsedMs: 120_000 }
const failed = (code: ServiceErrorCode, attempt: number, random = 1, elapsedMs = 0, retryAfter?: number) => ({
  attempt,
  random,
  elapsedMs,
  error: new ServiceError(code, code, { retryAfterMs: retryAfter }),
})

void t.test('what may pass by itself is tried again, what was refused is not', (t) => {
  const again: ServiceErrorCode[] = [
    'throttled',
    'server_error',
    'timeout',
    'network',
    'truncated',
    'session_not_ready',
  ]
  for (const code of again) t.equal(retryDelay(policy, failed(code, 1)), 1000, code)
  const never: ServiceErrorCode[] = [
    'unauthorized',
    'forbidden',
    'session_not_found',
    'not_found',
    'bad_request',
    'conflict',
    'too_large',
    'unsupported',
    'protocol',
    'credential',
    'insecure_endpoint',
    'aborted',
    'local',
  ]
  for (const code of never) t.equal(retryDelay(policy, failed(code, 1)), undefined, code)
  t.end()
})

void t.test('the bound doubles with each attempt up to the cap, and chance takes any part of it', (t) => {
  const delays = [1, 2, 3, 4].map((attempt) => retryDelay(policy, failed('network', attempt)))
  t.strictSame(delays, [1000, 2000, 4000, 8000])
  t.equal(retryDelay(policy, failed('network', 3, 0.25)), 1000)
  t.equal(retryDelay(policy, failed('network', 3, 0)), 0)
  t.equal(retryDelay({ ...policy, attempts: 100 }, failed('network', 50)), 60_000)
  t.end()
})

void t.test('it ends with the number of attempts or with the time', (t) => {
  t.equal(retryDelay(policy, failed('network', 4)), 8000)
  t.equal(retryDelay(policy, failed('network', 5)), undefined)
  t.equal(retryDelay(policy, failed('network', 1, 1, 119_000)), 1000)
  t.equal(retryDelay(policy, failed('network', 1, 1, 120_000)), undefined)
  t.equal(retryDelay(defaultRetryPolicy, failed('network', 1, 1, 60_000)), undefined)
  t.end()
})

void t.test('the time is used to its end: the last attempt comes then at the latest', (t) => {
  t.equal(retryDelay(policy, failed('network', 1, 1, 119_001)), 999)
  t.equal(retryDelay(defaultRetryPolicy, failed('session_not_ready', 7, 1, 28_000)), 32_000)
  t.equal(retryDelay(defaultRetryPolicy, failed('throttled', 7, 1, 59_000, 2000)), undefined)
  t.end()
})

void t.test('the service is never asked again before it said, however long that is', (t) => {
  t.equal(retryDelay(policy, failed('throttled', 1, 0, 0, 7000)), 7000)
  t.equal(retryDelay(policy, failed('throttled', 4, 1, 0, 7000)), 8000)
  t.equal(retryDelay(policy, failed('throttled', 1, 0, 0, 90_000)), 90_000)
  t.equal(retryDelay(policy, failed('throttled', 1, 0, 0, 130_000)), undefined)
  t.end()
})

void t.test('Retry-After is seconds or a date, and Azure has milliseconds of its own', (t) => {
  const wallMs = Date.UTC(2026, 0, 1, 12)
  t.equal(retryAfterMs({ 'retry-after': '3' }, wallMs), 3000)
  t.equal(retryAfterMs({ 'retry-after': 'Thu, 01 Jan 2026 12:00:10 GMT' }, wallMs), 10_000)
  t.equal(retryAfterMs({ 'retry-after': 'Thu, 01 Jan 2026 11:00:00 GMT' }, wallMs), 0)
  t.equal(retryAfterMs({ 'retry-after': '9', 'retry-after-ms': '250' }, wallMs), 250)
  t.equal(retryAfterMs({ 'x-ms-retry-after-ms': '1500.5' }, wallMs), 1500.5)
  t.equal(retryAfterMs({ 'retry-after': 'soon' }, wallMs), undefined)
  t.equal(retryAfterMs({ 'retry-after': '-1x' }, wallMs), undefined)
  t.equal(retryAfterMs({}, wallMs), undefined)
  t.end()
})

void t.test('a date is compared with the answer’s own, whatever the clock here says', (t) => {
  const headers = { 'retry-after': 'Thu, 01 Jan 2026 12:00:10 GMT', date: 'Thu, 01 Jan 2026 12:00:03 GMT' }
  for (const wallMs of [Date.UTC(2020, 0), Date.UTC(2026, 0, 1, 12), Date.UTC(2040, 0)])
    t.equal(retryAfterMs(headers, wallMs), 7000)
  t.equal(retryAfterMs({ ...headers, date: 'now' }, Date.UTC(2026, 0, 1, 12)), 10_000)
  t.equal(retryAfterMs({ ...headers, date: 'Thu, 01 Jan 2026 13:00:00 GMT' }, 0), 0)
  t.end()
})
