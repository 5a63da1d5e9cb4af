/**
 * The disk that holds the journal and the spool is full: what does not fit fails at once and changes nothing,
 * what was answered before is kept and uploaded. On a small tmpfs, so as root only.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { WriteBackError } from '../../src/write-back/local-changes.ts'
import { noSignal, startRig } from '../write-back/rig.ts'
import type { Operation } from './operations.ts'
import { MortalMount } from './rig.ts'

const onlyRoot = { skip: process.getuid?.() === 0 ? false : 'only root can mount a small disk' }

async function run(command: string, ...args: string[]): Promise<void> {
  const [code] = (await once(spawn(command, args, { stdio: 'ignore' }), 'close')) as [number]
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}: exit ${code}`)
}

void t.test(
  'on a full disk writes fail with ENOSPC, and nothing that was answered is lost',
  onlyRoot,
  async (t) => {
    const root = mkdtempSync(join(tmpdir(), 'write-back-full-'))
    const directory = join(root, 'small')
    mkdirSync(directory)
    await run('mount', '-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', directory)
    t.teardown(async () => {
      await run('umount', '-l', directory)
      rmSync(root, { recursive: true })
    })
    const rig = await startRig(t, { journalDirectory: directory })
    const gate = rig.files.hold({ verb: 'upload' })
    const expected = new Map<string, Buffer>()
    let refused = 0
    for (let number = 0; number < 40; number++) {
      const path = `f${number}`
      try {
        const copy = rig.changes.create(path, undefined)
        copy.retain()
        expected.set(path, Buffer.alloc(0))
        for (let piece = 0; piece < 5; piece++) {
          const bytes = Buffer.alloc(100_000, String(number))
          try {
            copy.write(undefined, bytes)
          } catch (error) {
            if (!(error instanceof WriteBackError) || error.reason !== 'diskFull') throw error
            refused++
            continue
          }
          expected.set(path, Buffer.concat([expected.get(path) as Buffer, bytes]))
        }
        t.equal(copy.size, (expected.get(path) as Buffer).length)
        copy.flush()
        copy.release()
      } catch (error) {
        if (!(error instanceof WriteBackError) || error.reason !== 'diskFull') throw error
        refused++
      }
    }
    t.ok(refused > 0, `${refused} writes were refused`)
    gate.release()
    for (let round = 0; round < 40; round++) await rig.pass(2000)
    await rig.changes.barrier('', noSignal)
    for (const [path, bytes] of expected)
      t.ok(bytes.equals(Buffer.from(rig.files.bytes(path) ?? 'missing')), path)
    t.same(rig.files.paths(), [...expected.keys()].sort())
  },
)

void t.test(
  'killed, and mounted again when the disk is full, it uploads what is left',
  onlyRoot,
  async (t) => {
    const mount = await MortalMount.start(t)
    const state = String(mount.env['XDG_STATE_HOME'])
    mkdirSync(state, { recursive: true })
    await run('mount', '-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', state)
    const hold = mount.emulator.hold({ verb: 'upload' })
    const operations: Operation[] = [
      { do: 'create', path: 'f' },
      { do: 'write', path: 'f', text: 'written before' },
    ]
    try {
      await mount.mount()
      const program = mount.begin(operations)
      await program.until((text) => text.includes('!'))
      await mount.kill()
      program.child.kill('SIGKILL')
      await program.ended
      mount.take(operations, program)
      t.throws(() => writeFileSync(join(state, 'fill'), Buffer.alloc(16 * 1024 * 1024)), { code: 'ENOSPC' })
      hold.release()
      await mount.mount()
      t.match(await mount.command(['sync', mount.directory]), { code: 0 })
      mount.compare(t, mount.served(), 'the service has what was answered')
      t.match(await mount.command(['unmount', mount.directory]), { code: 0 })
    } finally {
      await mount.kill()
      await run('umount', '-l', state)
    }
  },
)
