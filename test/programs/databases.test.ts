/** SQLite: the rollback journal survives the death of the daemon, and WAL works between processes of one mount. */
import { join } from 'node:path'
import t from 'tap'
import { isRunning, mountEmulator } from '../mount/rig.ts'
import { eventually } from '../mount/programs.ts'
import { needs } from './installed.ts'

await t.test('a database in WAL mode is used by many processes at once', needs('sqlite3'), async (t) => {
  const mounted = await mountEmulator(t, { emulator: { latencyMs: 10 } })
  const said = await mounted.ok(
    `sqlite3 wal.db 'pragma journal_mode = wal; create table t (who, n)'
     for who in 1 2 3 4; do
       (for n in $(seq 10); do sqlite3 -cmd '.timeout 20000' wal.db "insert into t values ($who, $n)"; done) &
     done; wait
     sqlite3 wal.db 'select count(*), count(distinct who) from t; pragma integrity_check'`,
    { limitMs: 60_000 },
  )
  t.equal(said, 'wal\n40|4\nok\n')
})

await t.test(
  'committed rows are there after kill -9 of the daemon, and the database is whole',
  needs('sqlite3'),
  async (t) => {
    const mounted = await mountEmulator(t, { emulator: { latencyMs: 10 } })
    const writer = mounted.startSh(
      `sqlite3 rows.db 'create table t (n integer primary key, filler)'
     for n in $(seq 1000); do sqlite3 rows.db "insert into t values ($n, hex(randomblob(2000)))" && echo "row $n"; done`,
    )
    await writer.until((text) => text.includes('row 8\n'))
    process.kill(mounted.pid, 'SIGKILL')
    await eventually(() => !isRunning(mounted.pid))
    writer.child.kill('SIGKILL')
    const committed = (await writer.ended).stdout.split('\n').filter((line) => line.startsWith('row')).length
    await mounted.mountAgain()
    const found = await mounted.ok(`sqlite3 rows.db 'pragma integrity_check; select count(*), max(n) from t'`)
    const [state, counts = ''] = found.split('\n')
    const [count, last] = counts.split('|').map(Number)
    t.equal(state, 'ok')
    t.ok((count ?? 0) >= committed && count === last, `${committed} rows were committed, ${counts} are there`)
    await mounted.sync()
    const remote = await mounted.start('sqlite3', [
      join(mounted.emulator.home, 'rows.db'),
      'pragma integrity_check; select count(*) from t',
    ]).ended
    t.equal(remote.stdout, `ok\n${count}\n`, 'the service has the same')
  },
)
