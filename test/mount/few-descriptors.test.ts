/**
 * A daemon that may have few descriptors, from its start or from some moment on.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { files } from '../emulator-server.ts'
import { isMounted, mountEmulator } from './rig.ts'

/* more than is kept in memory, so that each needs a file of the cache */
const fileBytes = 100_000
const contentOf = (number: number): Buffer => Buffer.alloc(fileBytes, `${number} `)

/** Opens all files at once and keeps them open, reads them whole, then their second halves again; the errnos. */
const openAll = (count: number): string => `
import os, sys, threading
failed, opened = [], {}
def read(descriptor, number, offset):
    wanted = (f"{number} ".encode() * ${fileBytes})[:${fileBytes}][offset:]
    got = b""
    while len(got) < len(wanted):
        piece = os.pread(descriptor, len(wanted) - len(got), offset + len(got))
        if not piece: break
        got += piece
    if got != wanted: failed.append("other bytes")
def begin(number):
    try:
        opened[number] = os.open(f"f{number}", os.O_RDONLY)
        read(opened[number], number, 0)
    except OSError as error: failed.append(os.strerror(error.errno))
threads = [threading.Thread(target=begin, args=(number,)) for number in range(${count})]
for thread in threads: thread.start()
for thread in threads: thread.join()
for number, descriptor in opened.items():
    try: read(descriptor, number, ${fileBytes / 2})
    except OSError as error: failed.append(os.strerror(error.errno))
print(len(opened), failed)
`

/** Changes the first byte of all files at once; the errnos. */
const writeAll = (count: number): string => `
import os, sys, threading
failed = []
def change(number):
    try:
        descriptor = os.open(f"f{number}", os.O_RDWR)
        os.pwrite(descriptor, b"x", 0)
        os.close(descriptor)
    except OSError as error: failed.append(os.strerror(error.errno))
threads = [threading.Thread(target=change, args=(number,)) for number in range(${count})]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(failed)
`

for (const [descriptors, count] of [
  [256, 300],
  [64, 100],
] as const) {
  void t.test(
    `with ${descriptors} descriptors, ${count} files are open at once, changed and uploaded`,
    async (t) => {
      const mounted = await mountEmulator(t, { descriptors, emulator: { latencyMs: 0 } })
      const { emulator } = mounted
      const numbers = Array.from({ length: count }, (_, number) => number)
      for (const number of numbers) writeFileSync(join(emulator.home, `f${number}`), contentOf(number))
      const limitMs = 120_000
      const run = (program: string): Promise<string> => mounted.ok(`python3 -c '${program}'`, { limitMs })
      t.equal(await run(openAll(count)), `${count} []\n`)
      t.equal(await run(writeAll(count)), '[]\n')
      const syncing = await mounted.command(['sync', mounted.directory], { limitMs })
      t.equal(syncing.code, 0, syncing.stderr)
      const there = files(emulator)
      const isChanged = (number: number): boolean =>
        there[`f${number}`]?.toString() === `x${contentOf(number).toString().slice(1)}`
      t.same(
        numbers.filter((number) => !isChanged(number)),
        [],
      )
      t.same(mounted.logged('error'), [])
      t.equal((await mounted.status()).pid, mounted.pid)
    },
  )
}

void t.test('a daemon that lives and cannot answer is not taken for dead', async (t) => {
  const mounted = await mountEmulator(t)
  const limit = (number: string): Promise<unknown> =>
    mounted.start('prlimit', ['--pid', String(mounted.pid), `--nofile=${number}`]).ended
  await limit('3:1024')
  for (const command of ['status', 'unmount']) {
    const { code, stderr } = await mounted.command([command, mounted.directory])
    t.match(stderr, `(pid ${mounted.pid}) does not answer`, command)
    t.equal(code, 1)
  }
  t.ok(isMounted(mounted.directory))
  await limit('1024:1024')
  t.equal((await mounted.status()).pid, mounted.pid)
})

void t.test('out of descriptors is said as such, and passes', async (t) => {
  const mounted = await mountEmulator(t)
  await mounted.ok('for number in $(seq 20); do echo text > f$number; done')
  await mounted.sync()
  const limit = (number: string): Promise<unknown> =>
    mounted.start('prlimit', ['--pid', String(mounted.pid), `--nofile=${number}`]).ended
  /* 0, 1 and 2 are the log; 3 was the pipe to whoever started the daemon: small files need none of their own */
  await limit('4:1024')
  await mounted.ok('for number in $(seq 30); do echo text > g$number; done')
  await limit('3:1024')
  const { stderr } = await mounted.sh(
    `set +e; export LC_ALL=C; for number in $(seq 5); do head -c ${fileBytes} /dev/zero > h$number; done`,
  )
  t.match(stderr, 'Too many open files')
  t.notMatch(stderr, 'Input/output error')
  await limit('1024:1024')
  await mounted.ok('echo text > again; cat f1 g30 again')
  await mounted.sync()
})
