/**
 * The programs that people use, while the daemon under them is killed at random moments: they notice a pause and
 * nothing else. `OUTLIVES_KILLS` (default 20, over all of them and loops.test.ts) and `OUTLIVES_SEED` choose another
 * run.
 */
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { needs } from '../programs/installed.ts'
import { outlives, tree } from './beside.ts'
import { fileTimeout, kills, seed, timeout } from './rig.ts'

t.setTimeout(fileTimeout)

const run = `(OUTLIVES_KILLS=${kills}, OUTLIVES_SEED=${seed})`
const inTree = (directory: string): void => {
  tree(join(directory, 'tree'))
  fs.chmodSync(join(directory, 'tree/src/part-3/file-3.py'), 0o755)
}

await t.test(`cp -r into the mount, within it and out of it ${run}`, { timeout }, async (t) => {
  await outlives(
    t,
    `cp -r "$INPUTS/tree" ours
     cp -r theirs "$OUT/theirs"
     cp -r theirs again
     cp -rp ours "$OUT/ours"
     diff -r "$INPUTS/tree" ours; diff -r theirs again; diff -r theirs "$OUT/theirs"; diff -r ours "$OUT/ours"
     rm -r again; mv theirs moved`,
    { inputs: inTree, seeds: (directory) => tree(join(directory, 'theirs')) },
  )
})

await t.test(`tar x and tar c ${run}`, { timeout, ...needs('tar') }, async (t) => {
  await outlives(
    t,
    `tar xf "$INPUTS/tree.tar"
     diff -r "$INPUTS/tree" tree
     find tree -type f -printf '%m %T@ %p\\n' | sort
     tar cf "$OUT/back.tar" tree; tar tf "$OUT/back.tar" | sort
     tar cf archive.tar --mtime=@0 --owner=0 --group=0 --sort=name tree
     tar xf archive.tar --one-top-level=again; diff -r tree again/tree
     gzip -n archive.tar; gzip -t archive.tar.gz`,
    {
      inputs: (directory) => {
        inTree(directory)
        spawnSync('tar', ['cf', join(directory, 'tree.tar'), '--mtime=2026-01-02', '-C', directory, 'tree'])
      },
    },
  )
})

/* the index holds inode numbers and times, and where there are no links the configuration says so */
const gitsOwn = /\.git\/(index|config|logs)/

await t.test(`git clone, commit, status and fsck ${run}`, { timeout, ...needs('git') }, async (t) => {
  await outlives(
    t,
    `git clone -q --no-hardlinks "$INPUTS/repository" clone; cd clone
     git status --porcelain
     for i in 1 2 3; do
       echo "more $i" >> README; mkdir -p new; echo "new $i" > new/file-$i
       git add -A; git commit -q -m "change $i"; git status --porcelain
     done
     git checkout -q -b side HEAD~2; cat README; git checkout -q main; tail -n 1 README
     git mv src code; git commit -q -m moved; git log --format='%s %t'
     git fsck --strict --no-progress; git status --porcelain
     rm -r code; git status --porcelain | wc -l; git checkout -q .; git status --porcelain`,
    {
      special: gitsOwn,
      inputs: (directory) => {
        const repository = join(directory, 'repository')
        tree(repository)
        const env = {
          ...process.env,
          GIT_CONFIG_GLOBAL: '/dev/null',
          GIT_CONFIG_SYSTEM: '/dev/null',
          GIT_AUTHOR_DATE: '2026-01-02T03:04:05Z',
          GIT_COMMITTER_DATE: '2026-01-02T03:04:05Z',
        }
        const git = (...args: string[]): void => {
          const said = spawnSync(
            'git',
            ['-C', repository, '-c', 'user.name=A', '-c', 'user.email=a@b', ...args],
            { env },
          )
          if (said.status !== 0) throw new Error(String(said.stderr))
        }
        git('init', '-q', '-b', 'main')
        git('add', '-A')
        git('commit', '-q', '-m', 'first')
        git('repack', '-adq')
      },
    },
  )
})

await t.test(
  `sqlite3 commits many transactions in one process ${run}`,
  { timeout, ...needs('sqlite3') },
  async (t) => {
    const { said } = await outlives(
      t,
      `sqlite3 rows.db 'create table t (n integer primary key, filler)'
     sqlite3 rows.db < "$INPUTS/inserts.sql"
     sqlite3 rows.db 'pragma integrity_check; select count(*), sum(n), sum(length(filler)) from t'
     sqlite3 rows.db 'select * from t order by n' | sha256sum; ls`,
      {
        inputs: (directory) => {
          const inserts = Array.from(
            { length: 40 },
            (_, i) =>
              `begin; insert into t values (${2 * i}, hex(zeroblob(${500 + 50 * i}))), (${2 * i + 1}, 'x'); commit;\n`,
          )
          fs.writeFileSync(join(directory, 'inserts.sql'), inserts.join(''))
        },
      },
    )
    t.match(said, 'ok\n80|3160|')
  },
)

await t.test(
  `sqlite3 in WAL mode, one process after the other ${run}`,
  { timeout, ...needs('sqlite3') },
  async (t) => {
    const { said } = await outlives(
      t,
      `sqlite3 wal.db 'pragma journal_mode = wal; create table t (n integer primary key, filler)'
     for n in $(seq 40); do sqlite3 -cmd '.timeout 60000' wal.db "insert into t values ($n, hex(zeroblob(300)))"; done
     sqlite3 wal.db 'pragma integrity_check; select count(*), sum(n) from t; pragma journal_mode = delete'
     sqlite3 wal.db 'select * from t order by n' | sha256sum; ls`,
    )
    t.match(said, 'ok\n40|820\n')
  },
)

await t.test(`vim writes several files again and again ${run}`, { timeout, ...needs('vim') }, async (t) => {
  await outlives(
    t,
    `cp -r "$INPUTS/tree/src/part-1" texts; cd texts
     vim() { command vim -es -u NONE -i NONE -N "$@" < /dev/null; }
     for turn in 1 2 3; do
       for way in yes no auto; do
         vim -c "set backup writebackup backupskip= backupcopy=$way" \\
           -c "silent argdo %s/print/print_$turn/e | w" -c '2argument' -c 'normal Onew line' -c 'w' -c 'qa!' *.py
       done
     done
     cat *.py | sha256sum; ls -A`,
    { inputs: inTree },
  )
})

/* headers of blocks hold the time at which they were written: files differ from run to run, and verify themselves */
await t.test(`fio verifies what it wrote ${run}`, { timeout, ...needs('fio') }, async (t) => {
  const job = (verifying: string): string =>
    `fio --directory=. --output="$OUT/report" --name=random --rw=randwrite --bsrange=4k-64k --size=4m --numjobs=2 \\
       --ioengine=psync --fsync=10 --verify=crc32c --verify_fatal=1 --randseed=7 --allrandrepeat=1 ${verifying}`
  const { home } = await outlives(t, `${job('')}\n${job('--verify_only')}\nls`, { special: /random\.\d/ })
  const out = fs.mkdtempSync(join(home, '..', 'report-'))
  const verified = spawnSync('bash', ['-c', job('--verify_only')], {
    cwd: home,
    env: { ...process.env, OUT: out },
  })
  t.equal(verified.status, 0, `the service has what was verified: ${String(verified.stderr)}`)
})

await t.test(`rsync -a there, there again, and back ${run}`, { timeout, ...needs('rsync') }, async (t) => {
  const { said } = await outlives(
    t,
    `rsync -a "$INPUTS/tree/" here/
     rsync -a --itemize-changes "$INPUTS/tree/" here/
     rsync -a --stats "$INPUTS/tree/" here/ | grep 'files transferred'
     rm -r here/docs; echo changed > here/README; touch -d 2020-01-01 here/README
     rsync -a --delete --checksum --itemize-changes --omit-dir-times "$INPUTS/tree/" here/ | sort
     rsync -a here/ "$OUT/back/"; diff -r "$INPUTS/tree" "$OUT/back"
     rsync -a --inplace --no-whole-file "$INPUTS/tree/" here/
     find here -type f -printf '%m %T@ %p\\n' | sort`,
    { inputs: inTree },
  )
  t.match(said, 'files transferred: 0')
})
