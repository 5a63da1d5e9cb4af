/**
 * Programs in Python that stop where they say so, so that the daemon is killed at that point. Layer: test.
 *
 * Invariant: the same program runs on the local disk, where nothing is killed, and must say the same there.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Ended, Running } from '../mount/programs.ts'
import { describe } from '../mount/rig.ts'
import type { Outliving } from './rig.ts'

/*
 * stop(NAME) says NAME and waits until the test has done its part, by a file outside the mount.
 * again(...): what a call of libc answers that must not fail.
 */
const prelude = `import ctypes, errno, fcntl, hashlib, json, mmap, os, signal, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def stop(name):
    print('at ' + name, flush=True)
    while not os.path.exists(os.environ['FLAGS'] + '/' + name): time.sleep(0.01)
def hash(data): return len(data), hashlib.sha256(data).hexdigest()
def error(call, *args):
    try: call(*args)
    except OSError as problem: return errno.errorcode[problem.errno]
    return 'none'
def read(path):
    with open(path, 'rb') as file: return file.read()
def write(path, data):
    with open(path, 'wb') as file: file.write(data)
def in_child(work):
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writable, error(work).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    return os.read(readable, 100).decode()
def attributes(fd):
    """Inode number, size and modification time of what is open, asked of the daemon and not of the kernel."""
    found = ctypes.create_string_buffer(256)
    if libc.statx(fd, b'', 0x1000 | 0x2000, 0xfff, found) != 0: raise OSError(ctypes.get_errno(), 'statx')
    return struct.unpack_from('QQ', found, 32) + struct.unpack_from('qI', found, 112)
`

/** What is there before the program: of the agent's on the mount. */
export type Seeds = Readonly<Record<string, string | Buffer>>

export interface Play {
  /** What it said, but for where it stopped. */
  readonly lines: readonly string[]
  /** Of the emulator, where the program worked. */
  readonly home: string
}

/** What the test does when the program stops; default: it kills the daemon and waits for the next one. */
export type Actions = Readonly<Record<string, () => Promise<unknown>>>

export interface PlayOptions {
  readonly seeds?: Seeds | undefined
  readonly actions?: Actions
}

export class Stage {
  readonly #mounted: Outliving
  #count = 0

  constructor(mounted: Outliving) {
    this.#mounted = mounted
  }

  /** Puts files of the agent's into a new directory, of the local disk as well; its name. */
  async #prepare(seeds: Seeds): Promise<string> {
    const name = `scene-${++this.#count}`
    for (const above of [this.#mounted.emulator.home, join(this.#mounted.root, 'local')]) {
      fs.mkdirSync(join(above, name), { recursive: true })
      for (const [path, content] of Object.entries(seeds)) {
        fs.mkdirSync(join(above, name, path, '..'), { recursive: true })
        fs.writeFileSync(join(above, name, path), content)
      }
    }
    /* until then the mount may go by a listing from before */
    await this.#mounted.ok(`until test -d ${name}; do sleep 0.05; done`)
    return name
  }

  /** The program, on the mount, in a directory of its own. */
  async start(code: string, seeds: Seeds = {}, limitMs = 120_000): Promise<Running & Scene> {
    const name = await this.#prepare(seeds)
    const flags = join(this.#mounted.root, `${name}-flags`)
    fs.mkdirSync(flags)
    const script = join(this.#mounted.root, `${name}.py`)
    fs.writeFileSync(script, prelude + code)
    const env = { ...this.#mounted.env, FLAGS: flags }
    const running = this.#mounted.startSh(`cd ${name}; exec python3 ${script}`, { env, limitMs })
    const state = { isOver: false }
    const over = running.ended.then(() => (state.isOver = true))
    const stops = (text: string): string[] =>
      [...text.matchAll(/^at (.+)\n/gm)].map(([, place = '']) => place)
    return {
      ...running,
      name,
      script,
      home: join(this.#mounted.emulator.home, name),
      at: (place) => running.until((text) => stops(text).includes(place)),
      nextStop: async (count) => {
        const hasStopped = (text: string): boolean => stops(text).length > count
        /* again, should it take longer than is waited for at once: the program has a limit */
        while (!hasStopped(running.stdout()) && !state.isOver)
          await Promise.race([over, running.until(hasStopped).catch(() => undefined)])
        return stops(running.stdout())[count]
      },
      goOn: (place) => fs.writeFileSync(join(flags, place), ''),
    }
  }

  /** Plays it on the mount with what the test does where it stops, and on the local disk; both must say the same. */
  async alike(t: Test, code: string, { seeds = {}, actions = {} }: PlayOptions = {}): Promise<Play> {
    const scene = await this.start(code, seeds)
    const places: string[] = []
    for (;;) {
      const place = await scene.nextStop(places.length)
      if (place === undefined) break
      places.push(place)
      await (actions[place] ?? this.#mounted.kill)()
      scene.goOn(place)
    }
    const onMount = await scene.ended
    const onDisk = await this.#onDisk(scene, places)
    t.match(onDisk, { code: 0, stderr: '' }, `on the local disk: ${describe(onDisk)}`)
    t.match(onMount, { code: 0, stderr: '' }, `on the mount: ${describe(onMount)}`)
    t.equal(onMount.stdout, onDisk.stdout, 'says the same')
    return { lines: onMount.stdout.split('\n').filter((line) => !/^(at .*)?$/.test(line)), home: scene.home }
  }

  #onDisk(scene: Scene, places: readonly string[]): Promise<Ended> {
    const flags = join(this.#mounted.root, `${scene.name}-local-flags`)
    fs.mkdirSync(flags)
    for (const place of places) fs.writeFileSync(join(flags, place), '')
    const where = join(this.#mounted.root, 'local', scene.name)
    return this.#mounted.start('bash', ['-c', 'cd "$1"; exec python3 "$2"', 'bash', where, scene.script], {
      env: { ...this.#mounted.env, FLAGS: flags },
    }).ended
  }
}

export interface Scene {
  readonly name: string
  readonly script: string
  /** Where the directory lies on the emulator's disk. */
  readonly home: string
  /** Resolves when the program stops there. */
  at(place: string): Promise<string>
  /** Where it stops after it has stopped so often; undefined when it ends instead. */
  nextStop(count: number): Promise<string | undefined>
  goOn(place: string): void
}
