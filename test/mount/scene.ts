/**
 * A program here and the agent on its side, one after the other. Layer: test.
 *
 * Invariant: the agent does its part after what the program did before, and before what it does next.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { type MountedEmulator, mountEmulator } from './rig.ts'

/* until(condition): waits for what must come about within the TTL, and a margin for a busy machine */
const prelude = `import errno, os, sys, time
def until(condition, what='it'):
    end = time.time() + 10
    while time.time() < end:
        try:
            if condition(): return
        except OSError: pass
        time.sleep(0.05)
    raise SystemExit(what + ' did not come about')
def error(call, *args):
    try: call(*args)
    except OSError as problem: return errno.errorcode[problem.errno]
    return 'none'
def read(path):
    with open(path) as file: return file.read()
def write(path, text):
    with open(path, 'w') as file: file.write(text)
`

export class Scene {
  readonly #mounted: MountedEmulator
  readonly #flag: string
  #count = 0

  constructor(mounted: MountedEmulator) {
    this.#mounted = mounted
    this.#flag = join(mounted.root, 'flag')
  }

  get mounted(): MountedEmulator {
    return this.#mounted
  }

  /** Where something lies on the agent's side. */
  at(path: string): string {
    return join(this.#mounted.emulator.home, path)
  }

  text(path: string): string {
    return fs.readFileSync(this.at(path), 'utf8')
  }

  /** Runs Python in the mount; `CHANGE` in it is the place where the agent does its part. What it printed. */
  async play(code: string, change: () => void): Promise<string[]> {
    const flag = `${this.#flag}-${++this.#count}`
    const script = join(this.#mounted.root, `script-${this.#count}.py`)
    const wait = `print('CHANGE', flush=True)\nwhile not os.path.exists(${JSON.stringify(flag)}): time.sleep(0.01)\n`
    fs.writeFileSync(script, prelude + code.replace('CHANGE\n', wait))
    const running = this.#mounted.startSh(`exec python3 ${script}`)
    await running.until((said) => said.includes('CHANGE\n'))
    change()
    fs.writeFileSync(flag, '')
    const { code: exit, stdout, stderr } = await running.ended
    if (exit !== 0) throw new Error(`${code}\n${stdout}\n${stderr}`)
    return stdout.split('\n').filter((line) => line !== '' && line !== 'CHANGE')
  }
}

const ttlMs = 300

/** A mount of a service that tells no modification times, then of one that does; the daemon met no fault of its own. */
export async function onEachScene(
  t: Test,
  play: (t: Test, scene: Scene, modifiedTime: 'zero' | 'real') => Promise<void>,
): Promise<void> {
  for (const modifiedTime of ['zero', 'real'] as const) {
    await t.test(`modified_time ${modifiedTime}`, async (t) => {
      const mounted = await mountEmulator(t, {
        emulator: { latencyMs: 5, modifiedTime, seedFiles: false },
        args: [`--ttl=${ttlMs}ms`],
      })
      await play(t, new Scene(mounted), modifiedTime)
      const faults = mounted.logged('error').filter((line) => !line.includes('given up until'))
      t.strictSame(faults, [], 'the daemon met no fault of its own')
    })
  }
}
