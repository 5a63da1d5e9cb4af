/**
 * Simple things that are done again and again while the daemon is killed at random moments: appending, listing,
 * making and removing names, changing sizes, reading the console. Each is done once, and never fails.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { agent, session } from '../emulator-server.ts'
import { needs } from '../programs/installed.ts'
import { outlives } from './beside.ts'
import { fileTimeout, kills, killsEach, mountOutliving, seed, timeout } from './rig.ts'

const run = `(OUTLIVES_KILLS=${kills}, OUTLIVES_SEED=${seed})`
const python = { timeout, ...needs('python3') }
const names = join(import.meta.dirname, 'names.py')
const fsx = join(import.meta.dirname, '..', 'programs', 'fsx.py')

await t.test(`a shell appends to a file, each line once and in order ${run}`, { timeout }, async (t) => {
  await outlives(
    t,
    `mkdir here; cd here
     for n in $(seq 8000); do echo "line $n" >> log; done
     seq -f 'line %.0f' 8000 | cmp - log
     exec 3>> held
     for n in $(seq 8000); do echo "line $n" >&3; done
     cmp log held; pwd -P | grep -o '/here$'; ls`,
  )
})

await t.test(`processes append to one file, each line once and whole ${run}`, { timeout }, async (t) => {
  await outlives(
    t,
    `append() { for n in $(seq 6000); do printf '%s %d %0*d\\n' "$1" $n $((n % 300 + 1)) 0; done; }
     for who in one two; do append $who > "$OUT/$who"; done
     (while IFS= read -r line; do printf '%s\\n' "$line" >> log; done < "$OUT/one") & one=$!
     (exec 3>> log; while IFS= read -r line; do printf '%s\\n' "$line" >&3; done < "$OUT/two") & two=$!
     wait $one; wait $two
     for who in one two; do grep "^$who " log | cmp - "$OUT/$who"; done
     wc log`,
    { special: /^(f 644 \d+ |\w{64}  )?(\.\/)?log$/ },
  )
})

await t.test(`find, ls -lR and a glob show each of 3000 names once ${run}`, { timeout }, async (t) => {
  await outlives(
    t,
    `for turn in $(seq 8); do
       find big -type f | sort | sha256sum
       find big | sort | uniq -d
       ls -lR big | awk '/^[-]/ { print $5, $9 }' | sort | sha256sum
       ls -U big | sort | sha256sum; echo big/file-1?? | sha256sum
       touch big/new-$turn; rm big/file-$turn
     done
     ls -f big | sort | sha256sum; ls big | wc -l`,
    {
      seeds: (directory) => {
        fs.mkdirSync(join(directory, 'big/below'), { recursive: true })
        for (let i = 1; i <= 3000; i++) fs.writeFileSync(join(directory, `big/file-${i}`), 'x'.repeat(i % 9))
        fs.writeFileSync(join(directory, 'big/below/last'), 'last')
      },
    },
  )
})

await t.test(`names are made, renamed and removed, and no call fails ${run}`, python, async (t) => {
  await outlives(t, `python3 ${names} ${seed} 3000`)
})

await t.test(`three processes make, rename and remove names at once ${run}`, python, async (t) => {
  await outlives(
    t,
    `for who in 1 2 3; do
       mkdir $who; (cd $who; python3 ${names} $((${seed} + who)) 1000 > "$OUT/$who") & pids[who]=$!
     done
     for who in 1 2 3; do wait \${pids[who]}; cat "$OUT/$who"; done`,
  )
})

await t.test(`a file is written, mapped, cut, holed and copied in itself ${run}`, python, async (t) => {
  await outlives(t, `python3 ${fsx} file ${seed} 2500`)
})

/* as make does it: what is there is looked at, made anew beside it, moved over it */
await t.test(`files are replaced by rename while others read them ${run}`, python, async (t) => {
  await outlives(
    t,
    `cat > "$OUT/reader.py" <<'END'
import os, time
while not os.path.exists('stop'):
    for i in range(10):
        with open(f'file-{i}') as file: text = file.read()
        if len(set(text.split())) != 1 or len(text.split()) != 2000: raise SystemExit(f'torn: {text[:30]} {len(text)}')
END
     for i in $(seq 0 9); do yes "0" | head -n 2000 > file-$i; done || true
     python3 "$OUT/reader.py" & reader=$!
     for turn in $(seq 40); do for i in $(seq 0 9); do
       awk -v t=$turn 'BEGIN { for (n = 0; n < 2000; n++) print t }' > new; mv new file-$i
     done; done
     touch stop; wait $reader; cat file-* | sort | uniq -c`,
  )
})

t.setTimeout(fileTimeout)

await t.test(
  `tail -f .logs shows each line of the console once and in order ${run}`,
  { timeout },
  async (t) => {
    const mounted = await mountOutliving(t)
    let last = 0
    const say = (count: number): void => {
      const lines = Array.from({ length: count }, () => `line ${++last}`)
      mounted.emulator.appendLog(agent, session, lines)
    }
    say(10)
    const readers = ['exec tail -n +1 -f .logs', 'exec tail -n +1 -F .logs'].map((script) =>
      mounted.startSh(script, { limitMs: timeout }),
    )
    const arrived = (): Promise<unknown> =>
      Promise.all(
        readers.map((reader) =>
          reader.until((text) => text.includes(`line ${last}"`) || text.includes(`line ${last}\n`)),
        ),
      )
    await arrived()
    for (let kill = 0; kill < Math.max(2, killsEach); kill++) {
      say(5)
      const victim = await mounted.strike()
      /* fewer than the service sends again to who connects */
      say(20)
      await mounted.served(victim)
      say(5)
      await arrived()
    }
    const numbered = Array.from({ length: last }, (_, i) => `line ${i + 1}`)
    const saidIn = (text: string): string[] => [...text.matchAll(/line \d+/g)].map(([line]) => line)
    for (const reader of readers) {
      reader.child.kill('SIGTERM')
      t.match(await reader.ended, { signal: 'SIGTERM', stderr: '' })
      t.strictSame(saidIn(reader.stdout()), numbered)
    }
    t.strictSame(saidIn(await mounted.ok('cat .logs')), numbered, 'who opens it then reads the same')
  },
)
