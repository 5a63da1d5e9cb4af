import t from 'tap'
import { FilesystemError } from '../../src/filesystem/errors.ts'
import { emptyDirectory, eventually, hanging, mounted, run } from './mounted.ts'
import { mountAt } from '../../src/fuse/mount-table.ts'
import { unmountKernel } from '../../src/fuse/fusermount.ts'

void t.test('ordinary tools find an ordinary directory', async (t) => {
  const { fs, sh, errors } = await mounted(t)
  fs.put('given/file', 'given\n')
  const { code, stdout, stderr } = await sh(`
    set -e
    cat given/file
    mkdir -p d/e && echo one > d/e/f && echo two >> d/e/f && cat d/e/f
    mv d/e/f d/g && cp -r d copy && diff -r d copy && rm -r copy
    printf 0123456789 > r && printf AB | dd of=r bs=1 seek=3 conv=notrunc status=none && cat r && echo
    truncate -s 4 r && stat -c %s r && chmod 600 r && stat -c %a r
    touch -d @-1.5 r && stat -c %.9Y r
    fallocate -l 10 r && stat -c %s r && fallocate -n -o 0 -l 100 r && stat -c %s r
    fallocate -p -o 0 -l 2 r && od -An -c -N 4 r
    rmdir d/e && find . | sort && mkdir full && touch full/x && ! rmdir full 2>/dev/null
    exec 3<>gone && echo still >&3 && rm gone && cat /proc/self/fd/3 && exec 3>&-
    tar cf - . | tar tf - | wc -l
  `)
  t.equal(stderr, '')
  t.equal(code, 0)
  t.match(stdout, 'given\none\ntwo\n012AB56789\n4\n600\n-1.500000000\n10\n10\n')
  t.match(stdout, '.\n./d\n./d/g\n./given\n./given/file\n./r\n')
  t.match(stdout, 'still\n')
  t.same(errors, [])
})

void t.test('whoever wants to know hears when the kernel asks something', async (t) => {
  let turns = 0
  const { sh } = await mounted(t, { onWork: () => (turns += 1) })
  const before = turns
  await sh('ls')
  t.ok(turns > before)
})

void t.test('what the service cannot have is refused with the errno programs know', async (t) => {
  const { sh } = await mounted(t)
  const refusal = async (script: string): Promise<string> =>
    (await sh(`export LC_ALL=C; touch f; ${script}`)).stderr
  t.match(await refusal('ln -s f l'), 'Operation not permitted')
  t.match(await refusal('ln f l'), 'Operation not permitted')
  t.match(await refusal('mkfifo p'), 'Operation not permitted')
  t.match(await refusal('fallocate -z -l 10 f'), 'not supported')
  t.match(await refusal('fallocate -c -l 4096 f'), 'not supported')
  t.match(await refusal('lsattr f'), /Inappropriate ioctl|not supported/)
  const python = `python3 -c '
import os, errno, ctypes
def check(work):
    try: work()
    except OSError as e: print(errno.errorcode[e.errno])
    else: print("ok")
check(lambda: os.setxattr("f", "user.x", b"y"))
check(lambda: os.open(b"bad\\xff", os.O_CREAT | os.O_WRONLY))
check(lambda: os.mkdir("n" * 256))
libc = ctypes.CDLL(None, use_errno=True)
def rename(flags):
    if libc.renameat2(-100, b"f", -100, b"g", flags): raise OSError(ctypes.get_errno(), "")
open("g", "w").close()
check(lambda: rename(1))
check(lambda: rename(2))
os.unlink("g")
check(lambda: rename(1))
f = os.open("g", os.O_RDWR)
os.write(f, b"abc")
print(os.lseek(f, 0, os.SEEK_HOLE), os.lseek(f, 1, os.SEEK_DATA))
check(lambda: os.lseek(f, 3, os.SEEK_DATA))
u = os.open(".", os.O_TMPFILE | os.O_RDWR)
os.write(u, b"unnamed")
print(os.pread(u, 99, 0).decode(), os.copy_file_range(u, f, 7, 0, 0))
'`
  const { stdout, stderr } = await sh(`touch f; ${python}`)
  t.equal(stderr, '')
  t.same(stdout.trim().split('\n'), [
    'ENOTSUP',
    'EILSEQ',
    'ENAMETOOLONG',
    'EEXIST',
    'EINVAL',
    'ok',
    '3 1',
    'ENXIO',
    'unnamed 7',
  ])
})

void t.test('extended attributes are asked for once per mount, and not at each write', async (t) => {
  const { sh, fs } = await mounted(t)
  await sh('for i in 1 2 3 4 5; do echo $i >> f; done; getfattr -d f 2>/dev/null; getfattr -d f 2>/dev/null')
  t.equal(fs.calls['write'], 5)
})

void t.test('an appending write says so, a store through a mapping does not', async (t) => {
  const { sh, fs } = await mounted(t)
  const { stderr, stdout } = await sh(`python3 -c '
import os, mmap, fcntl
f = os.open("f", os.O_RDWR | os.O_CREAT | os.O_APPEND)
os.write(f, b"0123456789")
m = mmap.mmap(f, 10)
m[0:2] = b"AB"
m.flush(); m.close()
os.write(f, b"!")
fcntl.fcntl(f, fcntl.F_SETFL, os.O_RDWR)
os.pwrite(f, b"C", 2)
print(os.pread(f, 99, 0).decode())
'`)
  t.equal(stderr, '')
  t.equal(stdout, 'ABC3456789!\n')
  t.equal(fs.root.children.get('f')?.size, 11)
})

void t.test('a write of 1 MiB arrives whole, and content of many sizes comes back', async (t) => {
  const { sh, fs } = await mounted(t)
  const { stdout } = await sh(
    'head -c 5000001 /dev/urandom > /tmp/$$.r; dd if=/tmp/$$.r of=f bs=1M status=none; cmp f /tmp/$$.r && echo same; rm /tmp/$$.r',
  )
  t.equal(stdout, 'same\n')
  t.equal(Math.max(...fs.writeSizes), 1 << 20)
  t.equal(fs.writeSizes.length, 5)
})

void t.test('10,000 names are listed whole, with READDIRPLUS and without a look-up each', async (t) => {
  const { sh, fs } = await mounted(t, { entryTtlMs: 60_000, attributesTtlMs: 60_000 })
  for (let i = 0; i < 10_000; i++) fs.put(`many/file ${i}`, 'x')
  const { stdout } = await sh('ls -l many | tail -n +2 | sort -u | wc -l')
  t.equal(Number(stdout), 10_000)
  const asked = (fs.calls['lookup'] ?? 0) + (fs.calls['getAttributes'] ?? 0)
  t.ok(asked < 1000, `${asked} of 10,000 asked for one by one`)
})

void t.test(
  'the kernel forgets, and the count comes out at zero',
  { skip: process.getuid?.() !== 0 },
  async (t) => {
    const { sh, fs, directory } = await mounted(t, { entryTtlMs: 60_000, attributesTtlMs: 60_000 })
    for (let i = 0; i < 500; i++) fs.put(`d/${i}`, 'x')
    await sh('ls -l d > /dev/null; cat d/* > /dev/null; rm -r d')
    t.ok(await eventually(() => fs.nodes.size === 1), 'removed nodes are gone at once')
    for (let i = 0; i < 500; i++) fs.put(`e/${i}`, 'x')
    await sh('ls -l e > /dev/null')
    const counted = (): number =>
      [...fs.nodes.values()].filter((node) => node !== fs.root).reduce((sum, node) => sum + node.lookups, 0)
    t.ok(counted() >= 500)
    await run('sh', ['-c', 'echo 2 > /proc/sys/vm/drop_caches']).ended
    t.ok(await eventually(() => counted() === 0), `${counted()} left`)
    t.ok(mountAt(directory))
    t.equal(fs.openHandles, 0)
  },
)

void t.test('Ctrl-C ends a read that hangs; the others go on', async (t) => {
  const { sh, start, fs } = await mounted(t)
  fs.put('slow', 'content')
  fs.put('fast', 'content')
  const { hook, reached } = hanging()
  let first = true
  fs.hooks.set('read', (caller) => {
    if (!first) return undefined
    first = false
    return hook(caller)
  })
  const { child, ended } = start('exec cat slow')
  await reached
  t.equal((await sh('cat fast')).stdout, 'content')
  child.kill('SIGINT')
  t.equal((await ended).signal, 'SIGINT')
  t.ok(await eventually(() => fs.openHandles === 0))
})

void t.test('a reader that is killed leaves no read behind, also not of what was read ahead', async (t) => {
  const { start, sh, fs, errors } = await mounted(t)
  fs.put('big', 'x'.repeat(4_000_000))
  const { hook, reached } = hanging()
  let asked = 0
  fs.hooks.set('read', (caller) => {
    asked += 1
    /* the first pages come, those that are read ahead of them do not */
    return asked === 1 ? undefined : hook(caller)
  })
  const { child, ended } = start('exec cat big')
  await reached
  child.kill('SIGKILL')
  t.equal((await ended).signal, 'SIGKILL')
  t.ok(await eventually(() => fs.openHandles === 0), 'the file is closed')
  fs.hooks.delete('read')
  t.equal((await sh('wc -c < big')).stdout, '4000000\n', 'others read all of it')
  t.same(errors, [])
})

void t.test('a reader that waits for the same pages as one that is killed gets them', async (t) => {
  const { start, fs } = await mounted(t)
  fs.put('shared', 'x'.repeat(100_000))
  const { hook, reached } = hanging()
  let asked = 0
  fs.hooks.set('read', (caller) => {
    asked += 1
    return asked === 1 ? hook(caller) : undefined
  })
  const first = start('exec cat shared')
  await reached
  const second = start('exec wc -c < shared')
  t.ok(await eventually(() => fs.openHandles === 2), 'both have it open')
  first.child.kill('SIGKILL')
  t.equal((await first.ended).signal, 'SIGKILL')
  t.equal((await second.ended).stdout, '100000\n')
})

void t.test(
  'a direct read is interrupted as a request, so that programs with handlers get out as well',
  async (t) => {
    const { start, fs } = await mounted(t, { directIo: true })
    fs.put('slow', 'content')
    const { hook, reached } = hanging()
    fs.hooks.set('read', hook)
    const { child, ended } = start(`exec python3 -c '
import os
f = os.open("slow", os.O_RDONLY)
try: os.read(f, 10)
except KeyboardInterrupt: print("out")
'`)
    await reached
    child.kill('SIGINT')
    t.equal((await ended).stdout, 'out\n')
    t.ok(await eventually(() => fs.openHandles === 0))
  },
)

void t.test('an interrupted call that survives its signal gets EINTR', async (t) => {
  const { start, sh, fs } = await mounted(t)
  fs.put('slow', 'content')
  const { hook, reached } = hanging()
  fs.hooks.set('synchronize', hook)
  const { child, ended } = start(`exec python3 -c '
import os, signal, ctypes
for number in [signal.SIGUSR1, signal.SIGTERM]: signal.signal(number, lambda *_: None)
libc = ctypes.CDLL(None, use_errno=True)
f = os.open("slow", os.O_RDWR)
print(libc.fsync(f), ctypes.get_errno())
'`)
  await reached
  child.kill('SIGUSR1')
  t.equal((await sh('stat -f .')).code, 0, 'by now the interrupt has come')
  child.kill('SIGTERM')
  t.equal((await ended).stdout, '-1 4\n', 'by the one that is meant to stop it')
})

void t.test(
  'a bug behind the front end is EIO with a stack in the log, and the mount lives on',
  async (t) => {
    const { sh, fs, errors } = await mounted(t)
    fs.put('f', 'x')
    fs.hooks.set('open', () => Promise.reject(new TypeError('a bug')))
    t.match((await sh('LC_ALL=C cat f')).stderr, 'Input/output error')
    t.match(errors, [{ operation: 'open', error: new TypeError('a bug') }])
    fs.hooks.set('open', () => {
      throw new FilesystemError('sessionGone')
    })
    t.match((await sh('LC_ALL=C cat f')).stderr, 'Stale file handle')
    t.equal(errors.length, 1)
    fs.hooks.delete('open')
    t.equal((await sh('cat f')).stdout, 'x')
  },
)

void t.test('unmounting ends the connection and what was in flight', async (t) => {
  const { directory, served, fs, start } = await mounted(t)
  fs.put('slow', 'content')
  const { hook, reached } = hanging()
  fs.hooks.set('read', hook)
  const { child, ended } = start('exec cat slow')
  await reached
  await t.rejects(unmountKernel(directory, { lazy: false }), { code: 'busy' })
  await unmountKernel(directory, { lazy: true })
  t.equal(mountAt(directory), undefined)
  child.kill('SIGKILL')
  t.equal((await ended).signal, 'SIGKILL')
  t.equal(await served.done, 'unmounted')
})

void t.test('forced off, a hanging request fails at once', { skip: process.getuid?.() !== 0 }, async (t) => {
  const { directory, served, fs, start } = await mounted(t)
  fs.put('slow', 'content')
  const { hook, reached } = hanging()
  let aborted = false
  fs.hooks.set('read', (caller) => {
    caller.signal.addEventListener('abort', () => (aborted = true))
    return hook(caller)
  })
  const { ended } = start('exec cat slow')
  await reached
  await run('umount', ['-f', directory]).ended
  t.not((await ended).code, 0)
  t.equal(await served.done, 'unmounted')
  t.ok(aborted)
})

void t.test('stopping fails what waits and leaves a mount that answers ENOTCONN', async (t) => {
  const { served, fs, start, sh } = await mounted(t)
  fs.put('slow', 'content')
  const { hook, reached } = hanging()
  fs.hooks.set('read', hook)
  const { ended } = start('LC_ALL=C exec cat slow')
  await reached
  served.stop()
  // A failed read-ahead is read again, and by then nobody is there.
  t.match((await ended).stderr, /Input\/output error|not connected/)
  t.equal(await served.done, 'stopped')
  t.match((await sh('ls')).stderr, /cd: /)
})

void t.test('a process that is mounted can exit, even by an uncaught exception', async (t) => {
  const directory = await emptyDirectory(t)
  const script = `
    const { MemoryFrontEnd } = await import('${new URL('memory-front-end.ts', import.meta.url).href}')
    const { serve } = await import('${new URL('../../src/fuse/connection.ts', import.meta.url).href}')
    const { mountKernel } = await import('${new URL('../../src/fuse/kernel-mount.ts', import.meta.url).href}')
    const quiet = () => undefined
    const logger = { debug: quiet, info: quiet, warn: quiet, error: quiet, isLevelEnabled: () => false }
    const mount = await mountKernel(process.argv[1], { source: 'memory' })
    const served = serve({ descriptor: mount.descriptor, frontEnd: new MemoryFrontEnd(), logger })
    await served.ready
    setImmediate(() => { throw new Error('a crash') })
  `
  const { ended } = run(process.execPath, ['--input-type=module', '-e', script, directory])
  const { code, stderr } = await ended
  await unmountKernel(directory, { lazy: true })
  t.equal(code, 1)
  t.match(stderr, 'a crash')
})
