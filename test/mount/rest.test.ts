/**
 * Memory is given back once, when a mount that has worked comes to rest, and not where there is little of it.
 */
import { cachedDataVersionTag } from 'node:v8'
import t from 'tap'
import { collect, Rest } from '../../src/mount/rest.ts'
import { FakeClock } from '../fake-clock.ts'

const mebibyte = 1024 * 1024

class Process {
  readonly clock = new FakeClock()
  cpuMs = 0
  heldBytes = 30 * mebibyte
  given = 0
  readonly rest = new Rest({
    clock: this.clock,
    cpuMs: () => this.cpuMs,
    heldBytes: () => this.heldBytes,
    giveBack: () => {
      this.given += 1
      this.heldBytes = 32 * mebibyte
    },
  })

  work(megabytes: number): void {
    this.heldBytes += megabytes * mebibyte
    this.rest.worked()
  }
}

void t.test('once, after five seconds with little of the processor', (t) => {
  const process = new Process()
  process.work(30)
  process.cpuMs += 51
  process.clock.advance(5_000)
  t.equal(process.given, 0, 'what is uploaded is work as well')
  process.cpuMs += 50
  process.clock.advance(4_999)
  t.equal(process.given, 0)
  process.clock.advance(1)
  t.equal(process.given, 1)
  t.equal(process.clock.waiting, 0, 'a mount at rest has no timer')
  process.clock.advance(60_000)
  t.equal(process.given, 1)
  t.end()
})

void t.test('again when there is as much again, and not for a look now and then', (t) => {
  const process = new Process()
  process.work(30)
  process.clock.advance(5_000)
  t.equal(process.given, 1)
  process.work(15)
  process.clock.advance(5_000)
  t.equal(process.given, 1)
  t.equal(process.clock.waiting, 0)
  process.work(1)
  process.clock.advance(5_000)
  t.equal(process.given, 2)
  t.end()
})

void t.test('a collection takes what nobody holds, and what was compiled before is still good', (t) => {
  const tag = cachedDataVersionTag()
  const held = [Buffer.alloc(20 * mebibyte)]
  const before = process.memoryUsage().arrayBuffers
  held.length = 0
  collect()
  t.ok(process.memoryUsage().arrayBuffers <= before - 20 * mebibyte)
  t.equal(cachedDataVersionTag(), tag)
  t.notOk('gc' in globalThis)
  t.end()
})
