/**
 * `--outliving`: what it costs that another daemon can go on with a mount: the same work on two mounts, one with
 * `--restart on`, one with `off`, in turn. Layer: benchmark.
 *
 * Invariant: both are mounted as a user does; the service is on this machine, and what is listed is known before, so
 * that the daemons' work is all there is. Before each job the kernel forgets the names.
 */
import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { makeTree, type TreeShape } from './fixtures.ts'
import { unmount } from './mount-points.ts'
import { mountSession } from './mount-session.ts'
import { digits, median, table } from './results.ts'

export interface OutlivingOptions {
  readonly directory: string
  readonly rounds: number
  readonly onProgress: (line: string) => void
}

const shape: TreeShape = { files: 4000, directories: 40, bytes: 64 }
const settings = ['on', 'off'] as const
type Setting = (typeof settings)[number]

const forgetNames = 'echo 2 >/proc/sys/vm/drop_caches'
/* once is so short that one collection of garbage decides */
const fiveTimes = (script: string): string => `for i in 1 2 3 4 5; do ${forgetNames}; ${script}; done`

const jobs: Readonly<Record<string, string>> = {
  'ls -lR of 4,000 files, five times': fiveTimes('ls -lR . >/dev/null'),
  'stat of each, no other look-up':
    'python3 -c "import os; names = open(\'$list\').read().split(); [os.stat(n) for n in names]"',
  'cat of each': 'xargs cat <"$list" >/dev/null',
  'make, write and remove 500 files':
    'mkdir new && for i in $(seq 500); do echo $i >new/$i; done && rm -r new',
  '2,000 lines with >>': 'for i in $(seq 2000); do echo $i; done >>log; rm log',
}

const run = promisify(execFile)

/** Lines of Markdown. */
export async function measureOutliving({
  directory,
  rounds,
  onProgress,
}: OutlivingOptions): Promise<string[]> {
  const mounts = await Promise.all(settings.map((setting) => mountWith(setting, join(directory, setting))))
  const times = new Map<string, { readonly wall: number; readonly cpu: number }[]>()
  try {
    for (let round = 1; round <= rounds; round++) {
      onProgress(`round ${round} of ${rounds}`)
      for (const mount of round % 2 === 0 ? mounts : mounts.toReversed()) {
        for (const [job, script] of Object.entries(jobs)) {
          writeFileSync('/proc/sys/vm/drop_caches', '2')
          const cpuBefore = cpuOf(mount.pid)
          const since = performance.now()
          await run('bash', ['-c', `set -e; list=${mount.list}; ${script}`], { cwd: mount.mountPoint })
          const wall = performance.now() - since
          const key = `${job}, ${mount.setting}`
          times.set(key, [...(times.get(key) ?? []), { wall, cpu: cpuOf(mount.pid) - cpuBefore }])
        }
      }
    }
  } finally {
    for (const { stop } of mounts) await stop()
  }
  const rows = Object.keys(jobs).map((job) => {
    const of = (setting: Setting, pick: 'wall' | 'cpu'): number =>
      median((times.get(`${job}, ${setting}`) ?? []).map((each) => each[pick]))
    const cells = (pick: 'wall' | 'cpu'): string[] => {
      const [on, off] = [of('on', pick), of('off', pick)]
      return [digits(on), digits(off), `${(on / off).toFixed(2)} ×`]
    }
    return [job, ...cells('wall'), ...cells('cpu')]
  })
  const head = ['milliseconds', 'on', 'off', 'ratio', 'CPU on', 'CPU off', 'ratio']
  return [
    '- `--restart on` and `--restart off`, our mount otherwise with its defaults and `--ttl 900`; no link',
    '',
    `Medians of ${rounds} rounds; CPU time of the daemon.`,
    '',
    table(head, rows),
  ]
}

interface Mount {
  readonly setting: Setting
  readonly pid: number
  readonly mountPoint: string
  /** A file with the names of all files of the tree. */
  readonly list: string
  readonly stop: () => Promise<void>
}

async function mountWith(setting: Setting, directory: string): Promise<Mount> {
  mkdirSync(directory)
  const party = mountSession({ modifiedTime: 'zero', tls: false })
  const server = await party.startServer(directory)
  makeTree(server.files, shape)
  const list = join(directory, 'list')
  const names = readdirSync(server.files, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(server.files.length + 1))
  writeFileSync(list, names.join('\n'))
  const own = join(directory, 'client-1')
  const mountPoint = join(own, 'mount')
  mkdirSync(mountPoint, { recursive: true })
  const { background = [], env } = party.client(own, server.port, mountPoint)
  const [program = '', ...args] = background
  const all = { env: { ...process.env, ...env }, timeout: 60_000 }
  await run(program, ['--restart', setting, '--ttl', '900', ...args], all)
  await run('ls', ['-lR', mountPoint])
  const { stdout } = await run(program, ['status', '--json', mountPoint], all)
  const { pid } = JSON.parse(stdout) as { readonly pid: number }
  const stop = async (): Promise<void> => {
    await unmount(mountPoint)
    await server.process.stop()
  }
  return { setting, pid, mountPoint, list, stop }
}

/** Milliseconds that a process has had a processor for. */
function cpuOf(pid: number): number {
  const tasks = `/proc/${pid}/task`
  return readdirSync(tasks).reduce((sum, task) => {
    const [nanoseconds = '0'] = readFileSync(join(tasks, task, 'schedstat'), 'utf8').split(' ')
    return sum + Number(nanoseconds) / 1e6
  }, 0)
}
