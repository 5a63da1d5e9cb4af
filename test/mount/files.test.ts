/**
 * What programs do with open files, names and attributes, on a mount of a service 40 ms away and on the local
 * disk, and what the service then has.
 */

import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { mountEmulator } from './rig.ts'
import { fixtures, sides } from './side-by-side.ts'

const limitBytes = 52_428_800

const mounted = await mountEmulator(t)
const { alike } = sides(mounted, fixtures(mounted.root))
const home = (path: string): string => join(mounted.emulator.home, path)

void t.test('random writes, truncations and reads of one file', async (t) => {
  await alike(
    t,
    'random',
    `cat > program.py <<'END'
import hashlib, random, sys
r = random.Random(7)
with open('file', 'wb+') as f:
    for step in range(400):
        what = r.random()
        at = r.randrange(0, 300000)
        if what < 0.6:
            f.seek(at); f.write(r.randbytes(r.randrange(1, 9000)))
        elif what < 0.7:
            f.truncate(at)
        elif what < 0.95:
            f.seek(at); print(step, hashlib.md5(f.read(r.randrange(1, 20000))).hexdigest())
        else:
            f.flush(); f.seek(0); print(step, hashlib.md5(f.read()).hexdigest())
END
     python3 program.py | md5sum; md5sum file`,
  )
})

void t.test('a file is changed again and again while it is uploaded', async (t) => {
  await alike(
    t,
    'rewritten',
    `for i in $(seq 1 40); do echo "$i" >> grows; printf %s "$i" > replaced; sleep 0.03; done
     head -c 300000 /dev/zero > big; for i in $(seq 1 20); do printf "$i" | dd of=big bs=1 seek=$((i * 7777)) conv=notrunc status=none; sleep 0.03; done
     md5sum *`,
  )
})

void t.test('O_APPEND by several processes, O_TRUNC and O_EXCL', async (t) => {
  await alike(
    t,
    'flags',
    `for writer in a b c d; do (for i in $(seq 1 50); do echo "$writer$i"; done >> log) & done; wait
     sort log | md5sum; wc -l < log; sort -o log log
     echo long content > replaced; echo short > replaced; cat replaced
     set -o noclobber; echo again 2>/dev/null > replaced || echo "exists"; set +o noclobber
     python3 -c "
import os
fd = os.open('made', os.O_CREAT | os.O_EXCL | os.O_WRONLY); os.write(fd, b'once'); os.close(fd)
try: os.open('made', os.O_CREAT | os.O_EXCL | os.O_WRONLY)
except FileExistsError: print('exists')
fd = os.open('made', os.O_RDWR | os.O_TRUNC); print(os.fstat(fd).st_size); os.write(fd, b'anew'); os.close(fd)
"`,
  )
})

void t.test('a file that is open goes on when it is removed, replaced or renamed', async (t) => {
  await alike(
    t,
    'open',
    `echo first > gone; exec 3<> gone; rm gone; cat <&3; echo more >&3; stat -Lc %s /dev/fd/3; ls; exec 3>&-
     echo old > kept; echo new > other; exec 4< kept; mv other kept; cat <&4; cat kept; exec 4<&-
     echo text > before; exec 5>> before; mv before after; echo appended >&5; exec 5>&-; cat after
     mkdir directory; echo in > directory/file; exec 6>> directory/file; mv directory moved; echo side >&6; exec 6>&-; cat moved/file
     python3 -c "
import tempfile
with tempfile.TemporaryFile(dir='.') as f: f.write(b'unnamed'); f.seek(0); print(f.read())
"
     ls`,
  )
})

void t.test('mmap stores arrive', async (t) => {
  await alike(
    t,
    'mapped',
    `python3 -c "
import mmap
open('file', 'wb').write(bytes(10000))
with open('file', 'r+b') as f:
    m = mmap.mmap(f.fileno(), 0); m[5000:5004] = b'here'; m.flush(); m[9000:9005] = b'later'; m.close()
"
     md5sum file`,
  )
})

void t.test('a file is renamed over an existing one, and a directory of 100 files is renamed', async (t) => {
  await alike(
    t,
    'renamed',
    `echo old > target; sync target; echo new > source; mv source target; cat target
     mkdir tree; for i in $(seq 1 100); do echo "$i" > tree/$i; done; sync tree
     python3 -c "import os; os.rename('tree', 'moved')"; ls | cat; ls moved | wc -l; cat moved/77
     mkdir empty; python3 -c "import os; os.rename('moved', 'empty')"; ls empty | wc -l
     mkdir full; touch full/file; python3 -c "
import os
try: os.rename('empty', 'full')
except OSError as e: print(e.strerror)
"`,
  )
})

void t.test('empty directories and files of no bytes', async (t) => {
  await alike(
    t,
    'empty',
    `mkdir -p one two/three/four; touch none; mkdir -p full/below; touch full/below/none`,
  )
})

/* A write that crosses the limit and a page as well comes in two requests: what fits is written, as POSIX has it. */
void t.test('a file of exactly the limit, and not a byte more', async (t) => {
  const said = await mounted.ok(
    `head -c ${limitBytes} /dev/urandom > exact; stat -c %s exact; md5sum < exact
     printf x >> exact 2>/dev/null || echo "refused"
     (truncate -s ${limitBytes + 1} exact || true) 2>&1 | sed 's/.*bytes: //'
     stat -c %s exact; md5sum < exact
     head -c 1000 /dev/zero > over
     python3 -c "
import os
fd = os.open('over', os.O_WRONLY)
os.lseek(fd, ${limitBytes} - 10, 0); print(os.write(fd, b'0123456789'))
os.pwrite(fd, b'x' * 20, ${limitBytes} - 10)
try: os.pwrite(fd, b'x', ${limitBytes})
except OSError as e: print(e.strerror)
print(os.fstat(fd).st_size)
try: os.posix_fallocate(fd, 0, ${limitBytes} + 1)
except OSError as e: print(e.strerror)
os.ftruncate(fd, 500)
"
     stat -c %s over`,
    { limitMs: 60_000 },
  )
  const lines = said.trim().split('\n')
  const [, hash] = lines
  t.strictSame(lines, [
    `${limitBytes}`,
    hash,
    'refused',
    'File too large',
    `${limitBytes}`,
    hash,
    '10',
    'File too large',
    `${limitBytes}`,
    'File too large',
    '500',
  ])
  await mounted.sync()
  t.strictSame(
    fs.readdirSync(mounted.emulator.home).filter((name) => name.includes('conflict')),
    [],
    "our own upload is nobody else's",
  )
  t.equal(fs.statSync(home('exact')).size, limitBytes)
  t.equal(fs.statSync(home('over')).size, 500)
  t.equal((await mounted.ok(`md5sum < '${home('exact')}'`)).trim(), hash)
  await mounted.ok('rm exact over')
})

void t.test('names of every kind', async (t) => {
  await alike(
    t,
    'names',
    `make() { mkdir -- "$1"; echo "$1" > "$1/$1"; echo "$1" > "file $1"; }
     make 'with spaces  and more'; make '100%'; make '%20'; make 'a+b'; make '#hash'; make 'what?'; make 'this&that'
     make "it's"; make '"quoted"'; make '😀🎉'; make $'new\\nline'; make $'tab\\there'; make '-dash'; make '~tilde'
     make 'a=b;c,d:e@f'; make '[brackets]{}()<>|*$!^\`'; make 'é'; make $'e\\u0301'; make ' '; make '...'; make 'end.'
     touch "$(printf 'n%.0s' $(seq 255))"; touch "$(printf 'ü%.0s' $(seq 127))"
     touch "$(printf 'n%.0s' $(seq 256))" 2>/dev/null || echo "too long"
     find . -print0 | sort -z | md5sum
     mv -- '100%/100%' '100%/200% more'; cat -- '100%/200% more'; rm -r -- '#hash' -dash; mv 'what?' 'what#?&'
     find . -type f -print0 | sort -z | xargs -0 cat | md5sum`,
  )
})

void t.test('a backslash in a name is kept here and said to be refused', async (t) => {
  await mounted.ok(`mkdir odd; echo kept > 'odd/back\\slash'; cat 'odd/back\\slash'`)
  const synced = await mounted.command(['sync', mounted.directory])
  t.equal(synced.code, 1)
  t.match(synced.stderr, 'odd/back\\slash')
  t.equal(await mounted.ok(`cat 'odd/back\\slash'`), 'kept\n')
  await mounted.ok('rm -r odd')
  await mounted.sync()
})

void t.test('directories over 20 and over 100 entries list whole', async (t) => {
  for (const count of [21, 99, 100, 101, 250]) {
    const directory = home(`many-${count}`)
    fs.mkdirSync(directory)
    for (let i = 0; i < count; i++) fs.writeFileSync(join(directory, `file-${i}`), `${i}`)
  }
  const count = (n: number): string => `ls many-${n} | wc -l; find many-${n} -type f | wc -l;`
  const said = await mounted.ok(
    `sleep 2.1; ${[21, 99, 100, 101, 250].map(count).join(' ')} cat many-250/file-249`,
  )
  t.strictSame(said.split('\n'), ['21', '21', '99', '99', '100', '100', '101', '101', '250', '250', '249'])
})

void t.test('df, stat -f and du answer sensibly', async (t) => {
  await mounted.ok('mkdir sized; head -c 10000 /dev/zero > sized/file; head -c 1 /dev/zero > sized/byte')
  const df = await mounted.ok('df -B1 --output=size,avail,target . | tail -n 1')
  const [size = 0, available = 0] = df.trim().split(/\s+/).map(Number)
  t.ok(size > 2 ** 30 && available > 2 ** 30, df)
  t.match(await mounted.ok("stat -f -c '%T %s %l' ."), /^fuse\w* 4096 255/)
  t.equal((await mounted.ok('du -b sized/file sized/byte | cut -f1')).trim(), '10000\n1')
  const du = Number((await mounted.ok('du -k sized/file | cut -f1')).trim())
  t.ok(du >= 10 && du <= 12, `${du} KiB`)
})

void t.test('mode, owner and times are kept', async (t) => {
  await alike(
    t,
    'attributes',
    `echo text > file; mkdir directory
     chmod 640 file; chmod 711 directory; touch -d '2001-02-03 04:05:06.123456789 UTC' file; touch -d '1999-01-01 UTC' directory
     stat -c '%a %y %n' file directory
     chmod u+s file; stat -c %a file; chmod 755 file
     if [ $(id -u) = 0 ]; then chown 1234:5678 file; stat -c '%u %g' file; fi
     cp -p file copy; stat -c '%a %y %u' copy
     touch -a -d '2010-01-01 UTC' file; stat -c %y file; stat -c %x file
     mv file moved; stat -c '%a %y' moved
     echo more >> moved; [ "$(stat -c %Y moved)" -gt 1000000000 ]; stat -c %a moved
     touch -c -r copy moved; stat -c %y moved
     umask 077; echo > private; mkdir secret; stat -c %a private secret`,
  )
  await mounted.ok('sleep 2.1; ls -la attributes > /dev/null')
  t.match(await mounted.ok("stat -c '%a %y' attributes/copy"), '755 2001-02-03 04:05:06.123456789')
})

void t.test('what the service cannot keep is refused as programs expect', async (t) => {
  const said = await mounted.ok(
    `mkdir refused; cd refused; touch file
     python3 -c "
import os, socket
def tried(what, f):
    try: f(); print(what, 'done')
    except OSError as e: print(what, e.strerror)
tried('symlink', lambda: os.symlink('file', 'soft'))
tried('link', lambda: os.link('file', 'hard'))
tried('fifo', lambda: os.mkfifo('fifo'))
tried('xattr', lambda: os.setxattr('file', 'user.a', b'b'))
tried('unlink', lambda: os.unlink('.'))
tried('rmdir', lambda: os.rmdir('file'))
tried('open', lambda: os.open('file/below', os.O_RDONLY))
tried('mkdir', lambda: os.mkdir('missing/below'))
tried('write', lambda: os.open('.', os.O_WRONLY))
"`,
  )
  t.strictSame(said.trim().split('\n'), [
    'symlink Operation not permitted',
    'link Operation not permitted',
    'fifo Operation not permitted',
    'xattr Operation not supported',
    'unlink Is a directory',
    'rmdir Not a directory',
    'open Not a directory',
    'mkdir No such file or directory',
    'write Is a directory',
  ])
})

void t.test('the daemon met no fault of its own', (t) => {
  t.strictSame(
    mounted.logged('error').filter((line) => !line.includes('slash')),
    [],
  )
  t.end()
})
