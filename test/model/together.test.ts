/**
 * Several processes at once on the same names of a real mount, through the kernel, and what must hold whatever the
 * order: appended records are there once and whole, a file that is renamed over is always there and whole, one of
 * many makes a name, and what stays is always listed. `MODEL_SECONDS` goes on for as long; `MODEL_SEED` begins there.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { mountEmulator, type MountedEmulator } from '../mount/rig.ts'

interface Told {
  readonly appended: readonly string[]
  readonly wrong: readonly string[]
  readonly won: readonly string[]
  /** Records whose write was not answered. */
  readonly begun: readonly string[]
  readonly ended: 'done' | 'gone'
  readonly steps: number
}

const seconds = Number(process.env['MODEL_SECONDS'] ?? 0)
const firstSeed = Number(process.env['MODEL_SEED'] ?? 1)
const processes = 5
const secondsEach = 2
const program = join(import.meta.dirname, 'together.py')

const prepare = `
  mkdir house && printf inside > house/inside
  for at in $(seq 0 39); do : > steady-$at; done
  python3 -c 'import hashlib; print(hashlib.md5(b"x").hexdigest() + "x", end="")' > target
`

async function together(
  mounted: MountedEmulator,
  seed: number,
  seconds: number,
  meanwhile?: () => Promise<unknown>,
): Promise<Told[]> {
  const name = `seed-${seed}`
  await mounted.ok(`mkdir ${name} && cd ${name} && ${prepare}`)
  const running = Array.from({ length: processes }, (_, number) =>
    mounted.start(
      'python3',
      [program, join(mounted.directory, name), String(number), String(seed), String(seconds)],
      {
        limitMs: 60_000,
        onLimit: mounted.abort,
      },
    ),
  )
  await Promise.all(running.map(({ until }) => until((told) => told.includes('going'))))
  await meanwhile?.()
  const all = await Promise.all(running.map(({ ended }) => ended))
  return all.map(({ code, stdout, stderr }) => {
    if (code !== 0) throw new Error(stderr)
    return JSON.parse(stdout.replace('going\n', '')) as Told
  })
}

/** What is wrong with what they told and left. */
async function verdict(mounted: MountedEmulator, seed: number, all: readonly Told[]): Promise<string[]> {
  const name = `seed-${seed}`
  const wrong = all.flatMap((told) => told.wrong)
  const won = all.flatMap((told) => told.won)
  if (new Set(won).size < won.length) wrong.push(`made more than once: ${won.sort().join(' ')}`)
  await mounted.ok(`cd ${name}; (cat house/inside home/inside 2>/dev/null || true) | grep -qx inside; sync .`)
  const there = join(mounted.emulator.home, name)
  const log = readFileSync(join(there, 'log'), 'latin1')
  for (const record of all.flatMap((told) => told.appended))
    if (log.split(record).length !== 2)
      wrong.push(`${record.slice(0, 20)} is there ${log.split(record).length - 1} times`)
  const pieces = log.replaceAll(/<\d+\.\d+\.*>/g, '')
  if (
    !areBegun(
      pieces,
      all.flatMap(({ begun }) => begun),
    )
  )
    wrong.push(`the log has pieces of records: ${pieces.slice(0, 100)}`)
  return wrong
}

/** Whether it is made of the beginnings of records that nobody was told are there, each at most once. */
function areBegun(pieces: string, begun: readonly string[]): boolean {
  if (pieces === '') return true
  return begun.some((record) => {
    const rest = begun.filter((other) => other !== record)
    let length = 0
    while (length < record.length && record[length] === pieces[length]) length++
    return length > 0 && areBegun(pieces.slice(length), rest)
  })
}

void t.test('processes that work at once on a mount', { timeout: (seconds + 120) * 1000 }, async (t) => {
  const mounted = await mountEmulator(t, {
    emulator: { latencyMs: 10, seedFiles: false },
    args: ['--ttl=0.5'],
  })
  const end = performance.now() + seconds * 1000
  let seed = firstSeed
  do {
    const all = await together(mounted, seed, secondsEach)
    t.same(await verdict(mounted, seed, all), [], `seed ${seed}`)
    t.comment(`seed ${seed}: ${all.reduce((sum, { steps }) => sum + steps, 0)} steps`)
    seed++
  } while (performance.now() < end)
})

void t.test(
  'processes whose daemon is killed find what they were answered',
  { timeout: 120_000 },
  async (t) => {
    const mounted = await mountEmulator(t, {
      emulator: { latencyMs: 10, seedFiles: false },
      args: ['--ttl=0.5'],
    })
    const all = await together(mounted, firstSeed, 20, () => {
      process.kill(mounted.pid, 'SIGKILL')
      return Promise.resolve()
    })
    await mounted.mountAgain()
    t.ok(all.every(({ ended }) => ended === 'gone'))
    t.same(await verdict(mounted, firstSeed, all), [])
  },
)
