/**
 * The programs that people use, on a mount of a service 40 ms away and on the local disk: they must do the
 * same, and the service must end up with what the local disk has.
 */

import t from 'tap'
import { mountEmulator } from './rig.ts'
import { fixtures, sides } from './side-by-side.ts'

const mounted = await mountEmulator(t)
const inputs = fixtures(mounted.root)
const { alike } = sides(mounted, inputs)

void t.test('cp -r, ls, find, cat and head', async (t) => {
  await alike(
    t,
    'copied',
    `cp -r "$INPUTS/tree" .
     ls -A tree tree/docs
     ls -la tree | awk 'NR > 1 && $9 !~ /^[.]/ { print $1, $9 }'
     find . | sort
     find . -type f -size +10k -name '*.bin'
     find tree -type f -empty
     cat tree/docs/*.txt
     head -n 2 tree/README
     head -c 5 tree/docs/deep/two.txt
     wc -c tree/docs/deep/deeper/three.bin
     cp -r tree again
     diff -r tree again
     diff -r "$INPUTS/tree" again`,
  )
})

void t.test('mkdir -p, touch, mv, rmdir and rm -r', async (t) => {
  await alike(
    t,
    'named',
    `mkdir -p a/b/c/d
     mkdir a 2>/dev/null || echo "exists"
     touch a/b/new a/b/c/newer
     mv a/b/new a/renamed
     mv a/b z
     echo content > z/c/d/file
     mv z/c y
     ls -R
     rmdir z && ! test -e z
     rmdir y 2>/dev/null || echo "not empty"
     mkdir -p gone/with/all && touch gone/with/all/{1,2,3} && rm -r gone
     mv no-such-file anywhere 2>/dev/null || echo "no such file"
     rm no-such-file 2>/dev/null || echo "no such file"
     cat missing/file 2>/dev/null || echo "no such file"
     rm y 2>/dev/null || echo "a directory"
     find . | sort`,
  )
})

void t.test('echo >>, sed -i, truncate and dd at an offset', async (t) => {
  await alike(
    t,
    'edited',
    `echo one > log; echo two >> log; for i in 1 2 3; do echo "line $i" >> log; done; cat log
     cp "$INPUTS/tree/README" text; sed -i 's/second/2nd/' text; cat text
     cp text shorter; truncate -s 5 shorter; cat shorter; echo
     cp text longer; truncate -s 300000 longer; stat -c %s longer; tail -c 5 longer | od -c
     cp "$INPUTS/tree/docs/deep/two.txt" patched
     printf 'PATCH' | dd of=patched bs=1 seek=1234 conv=notrunc status=none
     dd if=patched bs=1 skip=1230 count=12 status=none | od -c
     dd if=/dev/zero of=sparse bs=1k seek=100 count=1 status=none; stat -c %s sparse
     dd if=/dev/zero of=patched bs=1 count=0 seek=100 status=none; stat -c %s patched
     : > text; stat -c %s text
     tee -a log < "$INPUTS/tree/README" | tail -n 1
     tail -n 2 log`,
  )
})

void t.test('tar x and tar c', async (t) => {
  await alike(
    t,
    'unpacked',
    `tar cf - -C "$INPUTS" tree | tar xf -
     diff -r "$INPUTS/tree" tree
     stat -c '%A %Y %n' tree/src/file-3.py tree/README
     tar cf - tree | tar tf - | sort | head -n 5
     tar cf archive.tar --mtime=@0 --owner=0 --group=0 --sort=name tree/src`,
  )
})

void t.test('rsync -a transfers nothing the second time', async (t) => {
  const said = await alike(
    t,
    'synchronized',
    `rsync -a "$INPUTS/tree/" here/
     rsync -a --itemize-changes "$INPUTS/tree/" here/
     rsync -a --stats "$INPUTS/tree/" here/ | grep 'files transferred'
     rm here/README; echo changed > here/src/file-1.py
     rsync -a --delete --itemize-changes --omit-dir-times "$INPUTS/tree/" here/ | sort`,
  )
  t.match(said, 'files transferred: 0')
})

void t.test('vim saves with its swap and backup files', async (t) => {
  await alike(
    t,
    'vim',
    `cp "$INPUTS/tree/README" text
     script -qec "vim -u NONE -i NONE -N -c '%s/first/1st/' -c 'wq' text" /dev/null < /dev/null > /dev/null
     cat text
     vim -es -u NONE -i NONE -N -c 'set backup writebackup backupskip= backupcopy=no' -c '%s/second/2nd/' -c 'wq' text
     vim -es -u NONE -i NONE -N -c 'set nobackup writebackup backupcopy=yes' -c '%s/third/3rd/' -c 'wq' text
     vim -es -u NONE -i NONE -N -c 'normal ihello' -c 'wq' new
     cat text new
     ls -A`,
  )
})

/* where there are no links git copies, with another mode than it gives to what it links */
void t.test('git clone, commit and status', async (t) => {
  await alike(
    t,
    'git',
    `git init -q -b main origin
     cp -r "$INPUTS/tree/." origin/
     cd origin; git add -A; git commit -q -m first; git status --porcelain; git log --oneline; cd ..
     git clone -q --no-hardlinks origin clone
     cd clone
     echo more >> README; git status --porcelain; git commit -q -a -m second; git status --porcelain
     git checkout -q -b other HEAD~1; cat README; git checkout -q main; tail -n 1 README
     git log --oneline; git fsck --strict
     rm .git/index; git reset -q; git status --porcelain
     cd ..; rm -r {origin,clone}/.git/{index,config,logs}`,
  )
  t.equal((await mounted.ok('git init -q here; git -C here config core.symlinks')).trim(), 'false')
})

void t.test('python -m http.server serves what is there', async (t) => {
  await mounted.ok('mkdir served; echo "over http" > served/page.txt')
  const server = mounted.startSh(
    'exec python3 -u -c "import http.server as h; s = h.ThreadingHTTPServer((\'127.0.0.1\', 0), h.SimpleHTTPRequestHandler); print(s.server_port); s.serve_forever()"',
  )
  const port = (await server.until((text) => text.endsWith('\n'))).trim()
  const page = await fetch(`http://127.0.0.1:${port}/served/page.txt`)
  t.equal(await page.text(), 'over http\n')
  const listing = await fetch(`http://127.0.0.1:${port}/served/`)
  t.match(await listing.text(), 'page.txt')
  server.child.kill('SIGTERM')
  await server.ended
})

void t.test('sqlite3 in rollback and WAL mode', async (t) => {
  await alike(
    t,
    'database',
    `sqlite3 rollback.db 'create table t (a, b); begin; insert into t values (1, 2), (3, 4); commit; select * from t'
     sqlite3 rollback.db 'insert into t values (5, 6); select count(*) from t; pragma integrity_check'
     sqlite3 rollback.db 'begin; delete from t; rollback; select sum(a) from t'
     sqlite3 wal.db 'pragma journal_mode = wal; create table t (a); insert into t values (1); select * from t'
     sqlite3 wal.db 'insert into t values (2); select count(*) from t; pragma wal_checkpoint(truncate)'
     rm -f wal.db-wal wal.db-shm
     sqlite3 rollback.db .dump | sha256sum`,
  )
})

void t.test('grep -r, sort -o, install and unzip', async (t) => {
  await alike(
    t,
    'sundries',
    `cp -r "$INPUTS/tree" .
     grep -rc line tree | sort
     sort -r -o tree/README tree/README; cat tree/README
     install -m 600 tree/README installed; stat -c %a installed
     zip -qr archive.zip tree; mkdir out; unzip -q archive.zip -d out; diff -r tree out/tree; rm archive.zip
     (cd tree && find . -type f -print0 | sort -z | xargs -0 sha256sum) > sums; (cd tree && sha256sum -c --quiet ../sums)
     ln -s README link 2>/dev/null || true
     rm -f link`,
  )
})

void t.test('the daemon met no fault of its own', (t) => {
  t.strictSame(mounted.logged('error'), [])
  t.end()
})
