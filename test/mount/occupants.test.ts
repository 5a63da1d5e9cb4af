/**
 * Who keeps a directory busy is found while a process hangs on another mount.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { eventually } from './programs.ts'
import { mountEmulator } from './rig.ts'

/* maps a file of the mount, and then something else in its place: the kernel writes the file back meanwhile */
const hanging = `
import ctypes, os, sys
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
place = libc.mmap(None, 8192, 3, 1, os.open("file", os.O_RDWR), 0)
ctypes.memset(place, 65, 10)
print("mapped", flush=True)
os.read(os.open(sys.argv[1], os.O_RDONLY), 1)
libc.mmap(place, 8192, 3, 0x32, -1, 0)
`

const mapping = `
import mmap, sys, time
file = open(sys.argv[1], "r+b")
kept = mmap.mmap(file.fileno(), 0)
file.close()
print("mapped", flush=True)
time.sleep(300)
`

void t.test(
  'a process that holds the lock of its memory and hangs on a mount is not waited for',
  async (t) => {
    const mounted = await mountEmulator(t)
    await mounted.ok('head -c 8192 /dev/zero > file')
    const directory = join(mounted.root, 'busy')
    mkdirSync(directory)
    writeFileSync(join(directory, 'mapped'), 'text')
    const go = join(mounted.root, 'go')
    await mounted.start('mkfifo', [go]).ended
    const hangs = mounted.startSh(`exec python3 -c '${hanging}' '${go}'`, { limitMs: 100_000 })
    const maps = mounted.start('python3', ['-c', mapping, join(directory, 'mapped')], { limitMs: 100_000 })
    await hangs.until((said) => said.includes('mapped'))
    await maps.until((said) => said.includes('mapped'))
    process.kill(mounted.pid, 'SIGSTOP')
    t.teardown(() => process.kill(mounted.pid, 'SIGCONT'))
    writeFileSync(go, 'x')
    const state = (): string => readFileSync(`/proc/${hangs.child.pid ?? 0}/stat`, 'utf8')
    t.ok(await eventually(() => state().includes(') D ')), 'it hangs')
    const module = pathToFileURL(join(import.meta.dirname, '../../src/cli/open-files.ts')).href
    const script = `import('${module}').then(({ occupants }) => console.log(JSON.stringify(occupants('${directory}'))))`
    const found = await mounted.start(process.execPath, ['-e', script], { limitMs: 20_000 }).ended
    const expected = [{ pid: maps.child.pid, command: 'python3', reason: join(directory, 'mapped') }]
    t.equal(found.stderr, '')
    t.match(JSON.parse(found.stdout), [{ ...expected[0], command: /^python3/ }])
  },
)
