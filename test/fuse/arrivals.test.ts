import { closeSync, openSync, writeSync } from 'node:fs'
import t from 'tap'
import { watchArrivals, type Arrivals } from '../../src/fuse/arrivals.ts'
import { setNonblocking, socketPair } from '../../src/fuse/libc.ts'

void t.test('what comes is read into the buffer, until the watch is stopped', async (t) => {
  const [device, other] = socketPair()
  t.teardown(() => [device, other].forEach(closeSync))
  setNonblocking(device)
  const buffer = Buffer.alloc(16)
  let next = Promise.withResolvers<string>()
  const arrivals: Arrivals = watchArrivals({
    descriptor: device,
    buffer,
    arrived: (length) => next.resolve(buffer.toString('latin1', 0, length)),
    failed: () => t.fail('nothing fails'),
  })
  writeSync(other, 'one')
  t.equal(await next.promise, 'one')
  next = Promise.withResolvers()
  writeSync(other, 'two, as long as the buffer is')
  t.equal(await next.promise, 'two, as long as ')
  arrivals.stop()
  next = Promise.withResolvers()
  next.promise.then(
    () => t.fail('it is stopped'),
    () => undefined,
  )
  writeSync(other, 'three')
  await new Promise(setImmediate)
  await new Promise(setImmediate)
  next.reject(new Error('nothing came'))
})

void t.test('a device that cannot be read says why', async (t) => {
  const device = openSync('/dev/fuse', 'r+') // not mounted
  t.teardown(() => closeSync(device))
  setNonblocking(device)
  const failure = Promise.withResolvers<number>()
  watchArrivals({
    descriptor: device,
    buffer: Buffer.alloc(16),
    arrived: () => t.fail('nothing arrives'),
    failed: failure.resolve,
  })
  t.equal(await failure.promise, 1) // EPERM
})
