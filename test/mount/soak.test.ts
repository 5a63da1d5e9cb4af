/**
 * A mount that works for a long time, for a service that fails now and then: what the daemon holds of the
 * machine does not grow. `SOAK_SECONDS` (default 15) is for how long; the promise is about half an hour and more.
 */
import * as fs from 'node:fs'
import t from 'tap'
import { mountEmulator, treeOf } from './rig.ts'

const seconds = Number(process.env['SOAK_SECONDS'] ?? 15)
const sampleMs = Math.max(500, (seconds * 1000) / 120)

/* a round touches every part: names and bytes of ours, of the agent's, the console, refused calls, nameless files */
const work = `end=$((SECONDS + $1)); n=0
  while [ $SECONDS -lt $end ]; do
    n=$((n + 1)); d=work/$((n % 7))
    rm -rf "$d"; mkdir -p "$d/deep"
    for i in 1 2 3 4 5 6 7 8; do echo "$n $i" > "$d/f$i"; done
    head -c 300000 /dev/urandom > "$d/deep/big"; cp "$d/deep/big" "$d/copy"; mv "$d/copy" "$d/deep/moved"
    cmp "$d/deep/big" "$d/deep/moved"
    echo "line $n" >> log; mv "$d/f1" "$d/g1"; rm "$d/f2"
    test "$(cat "$d/f3")" = "$n 3"
    grep -rq "$n" work agent || true; ls -lR . > ../listed
    find agent -type f | head -20 | xargs cat > ../agents; stat missing-$n 2> ../missing && exit 1
    python3 -c "import os; fd = os.open('.', os.O_TMPFILE | os.O_RDWR); os.write(fd, b'x' * 5000)"
    [ $((n % 5)) -ne 0 ] || sync "$d/f4"
    timeout 0.2 tail -f .logs > ../console || true
    echo "$n"
  done`

interface Sample {
  readonly bytes: number
  readonly descriptors: number
  readonly threads: number
}

function sample(pid: number): Sample {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8')
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1])
  const open = fs.readdirSync(`/proc/${pid}/fd`).map((name) => target(`/proc/${pid}/fd/${name}`))
  // those of the spool are kept open for a while, as many as it has a bound for
  const descriptors = open.filter((file) => !file.includes('/spool/')).length
  return { bytes: field('RssAnon') * 1024, descriptors, threads: field('Threads') }
}

function target(link: string): string {
  try {
    return fs.readlinkSync(link)
  } catch {
    return 'closed meanwhile'
  }
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

void t.test(
  `${seconds} s of work leave memory, descriptors and threads where they were`,
  { timeout: (seconds + 200) * 1000 },
  async (t) => {
    const mounted = await mountEmulator(t, {
      emulator: { latencyMs: 5, heartbeatMs: 200, modifiedTime: 'real' },
      args: ['--cache-size', '8M', '--log-size', '64K'],
    })
    const agent = `${mounted.emulator.home}/agent`
    fs.mkdirSync(agent, { recursive: true })
    for (let file = 0; file < 60; file++) fs.writeFileSync(`${agent}/${file}`, 'x'.repeat(1000 + 5000 * file))
    const faults = [
      { kind: 'status', status: 500, every: 61 },
      { kind: 'reset', when: 'before-commit', every: 67 },
      { kind: 'reset', when: 'after-commit', verb: 'upload', every: 71 },
      { kind: 'status', status: 429, every: 73, retryAfter: 0.1 },
      { kind: 'cut', afterBytes: 10, verb: 'download', every: 79 },
    ] as const
    const clear = faults.map((fault) => mounted.emulator.fault(fault))
    const samples: Sample[] = []
    const sampling = setInterval(() => samples.push(sample(mounted.pid)), sampleMs)
    const said = await mounted
      .ok(`set -- ${seconds}\n${work}`, { limitMs: (seconds + 120) * 1000 })
      .finally(() => clearInterval(sampling))
    for (const end of clear) end()
    await mounted.sync()
    const rounds = said.trim().split('\n').length
    // the first third warms up
    const warm = samples.slice(Math.floor(samples.length / 3))
    const early = warm.slice(0, Math.ceil(warm.length / 2))
    const late = warm.slice(Math.ceil(warm.length / 2))
    const grown = (of: (sample: Sample) => number): number => median(late.map(of)) - median(early.map(of))
    const last = samples.at(-1)
    t.comment(
      `${rounds} rounds, ${samples.length} samples; at the end ${JSON.stringify(last)}; grown by ` +
        `${grown(({ bytes }) => bytes)} bytes, ${grown(({ descriptors }) => descriptors)} descriptors`,
    )
    t.ok(grown(({ bytes }) => bytes) < 24 * 1024 * 1024, 'memory')
    t.ok(grown(({ descriptors }) => descriptors) <= 16, 'descriptors')
    t.ok(grown(({ threads }) => threads) <= 1, 'threads')
    const log = fs.readFileSync(`${mounted.emulator.home}/log`, 'utf8')
    t.equal(log, Array.from({ length: rounds }, (_, index) => `line ${index + 1}\n`).join(''))
    const tree = treeOf(`${mounted.emulator.home}/work/${rounds % 7}`)
    t.same(Object.keys(tree), ['deep', 'deep/big', 'deep/moved', 'f3', 'f4', 'f5', 'f6', 'f7', 'f8', 'g1'])
    t.same(mounted.logged('error'), [])
  },
)
