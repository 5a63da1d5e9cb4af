/** SQLite: the rollback journal survives the death of the daemon, and WAL works between processes of one mount. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { isRunning, mountEmulator } from '../mount/rig.ts'
import { eventually, killGroup, type Running } from '../mount/programs.ts'
import { fixtures, sides } from '../mount/side-by-side.ts'
import { needs } from './installed.ts'

await t.test('a database in WAL mode is used by many processes at once', needs('sqlite3'), async (t) => {
  const mounted = await mountEmulator(t, { emulator: { latencyMs: 10 } })
  const { alike } = sides(mounted, fixtures(mounted.root))
  /* the order of the rows is the writers' affair, so that what remains is the dump in order of the values */
  const said = await alike(
    t,
    'wal',
    `sqlite3 wal.db 'pragma journal_mode = wal; create table t (who, n)'
     for who in 1 2 3 4; do
       (for n in $(seq 10); do sqlite3 -cmd '.timeout 20000' wal.db "insert into t values ($who, $n)"; done) &
     done; wait
     sqlite3 wal.db 'select count(*), count(distinct who) from t; pragma integrity_check; select * from t order by who, n'
     rm wal.db`,
    { limitMs: 60_000 },
  )
  t.match(said, /^wal\n40\|4\nok\n/)
})

/** Reads `rows.db` in a directory: whether it is whole, how many rows it has, the last of them, a digest of all. */
const look = `sqlite3 rows.db 'pragma integrity_check; select count(*), max(n) from t'
     sqlite3 rows.db 'select n, filler from t order by n' | sha256sum`

/**
 * Commits rows until the eighth was answered, then is killed, by `kill`; resolves with how many were answered.
 * A row is a function of its number, so that equal counts mean equal contents.
 */
async function commitUntilKilled(writer: Running, kill: () => Promise<void>): Promise<number> {
  await writer.until((text) => text.includes('row 8\n'))
  await kill()
  killGroup(writer.child)
  return (await writer.ended).stdout.split('\n').filter((line) => line.startsWith('row')).length
}

const writeRows = `sqlite3 rows.db 'create table t (n integer primary key, filler)'
     for n in $(seq 1000); do sqlite3 rows.db "insert into t values ($n, hex(zeroblob(2000 + $n)))" && echo "row $n"; done`

await t.test(
  'committed rows are there after kill -9 of the daemon, and the database is whole',
  needs('sqlite3'),
  async (t) => {
    const mounted = await mountEmulator(t, { emulator: { latencyMs: 10 } })
    const local = join(mounted.root, 'local')
    mkdirSync(local)
    const onDisk = (script: string, directory = local): Running =>
      mounted.start('bash', ['-c', `set -euo pipefail\ncd "$1"\n${script}`, 'bash', directory])
    /* the local disk has no daemon: there the writer alone is killed */
    const answered = {
      onDisk: await commitUntilKilled(onDisk(writeRows), () => Promise.resolve()),
      onMount: await commitUntilKilled(mounted.startSh(writeRows), async () => {
        process.kill(mounted.pid, 'SIGKILL')
        await eventually(() => !isRunning(mounted.pid))
      }),
    }
    await mounted.mountAgain()
    const found = {
      onDisk: (await onDisk(look).ended).stdout.split('\n'),
      onMount: (await mounted.ok(look)).split('\n'),
    }
    for (const side of ['onDisk', 'onMount'] as const) {
      const [state, counts = ''] = found[side]
      const [count = 0, last] = counts.split('|').map(Number)
      t.equal(state, 'ok', `${side}: it is whole`)
      t.equal(count, last, `${side}: no row is left out`)
      t.ok(count >= answered[side], `${side}: ${answered[side]} rows were answered, ${count} are there`)
      t.ok(count <= answered[side] + 1, `${side}: at most the row that was under way is there, too`)
    }
    /* as many rows on both sides: what was answered in one run more than in the other is deleted */
    const rows = Math.min(answered.onDisk, answered.onMount)
    const cut = `sqlite3 rows.db 'delete from t where n > ${rows}'\n${look}`
    const expected = (await onDisk(cut).ended).stdout
    t.match(expected, `ok\n${rows}|${rows}\n`)
    t.equal(await mounted.ok(cut), expected, 'the same rows on the local disk and on the mount')
    await mounted.sync()
    t.equal((await onDisk(look, mounted.emulator.home).ended).stdout, expected, 'the service has the same')
  },
)
