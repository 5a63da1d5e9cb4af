/** Programs that write much and check every byte. */
import { join } from 'node:path'
import t from 'tap'
import { mountEmulator } from '../mount/rig.ts'
import { needs } from './installed.ts'

const mounted = await mountEmulator(t, { emulator: { latencyMs: 10 } })
const fsx = join(import.meta.dirname, 'fsx.py')
const limits = { limitMs: 100_000 }

await t.test('fio verifies random writes of several jobs', needs('fio'), async (t) => {
  const said = await mounted.ok(
    `mkdir fio; fio --name=random --directory=fio --rw=randwrite --bs=4k-64k --size=2m --numjobs=3 --ioengine=psync \\
       --verify=crc32c --verify_fatal=1 --do_verify=1 --fsync=50 --output-format=terse --terse-version=3 --randseed=7
     fio --name=mapped --directory=fio --rw=randrw --bs=4k --size=1m --ioengine=mmap --verify=crc32c --verify_fatal=1 --output-format=terse --terse-version=3
     rm -r fio`,
    limits,
  )
  t.match(said, 'random')
})

/** All of its class `filesystem` but those that need links, extended attributes or more than a file may hold. */
const stressors = [
  ...'access chdir chmod chown dentry dir dirdeep dirmany fcntl filename flock fsize fstat getdent lease'.split(
    ' ',
  ),
  ...'locka lockf lockofd mknod open rename touch utime sendfile'.split(' '),
]
/* a size counts for the stressor before it */
const sized = ['fallocate-bytes', 'hdd-bytes', 'msync-bytes', 'seek-size', 'sync-file-bytes']

await t.test('stress-ng verifies what its filesystem stressors do', needs('stress-ng'), async (t) => {
  const run = (name: string): string => `--${name} 1 --${name}-ops 20`
  const flags = [
    ...stressors.map(run),
    ...sized.map((size) => `${run(size.replace(/-[a-z]+$/, ''))} --${size} 1m`),
  ]
  const ended = await mounted.sh(
    `mkdir stress; stress-ng --temp-path stress --verify --timeout 8s --oomable ${flags.join(' ')} 2>&1; rmdir stress`,
    limits,
  )
  t.equal(ended.code, 0, ended.stdout)
  t.notMatch(ended.stdout, /unsuccessful|fail:/)
})

await t.test(
  'fsx compares every byte of a file that is written, mapped, cut and copied at random',
  needs('python3'),
  async (t) => {
    for (const seed of [1, 2])
      t.match(await mounted.ok(`python3 ${fsx} fsx-${seed} ${seed} 500`, limits), /^500 operations/)
    await mounted.ok(
      'python3 -c "import os; os.fsync(os.open(\'fsx-1\', os.O_RDONLY))"; cmp fsx-1 "$HOME_OF_SESSION"/fsx-1',
      {
        env: { ...mounted.env, HOME_OF_SESSION: mounted.emulator.home },
      },
    )
  },
)

await t.test('the daemon met no fault of its own', (t) => {
  t.strictSame(mounted.logged('error'), [])
  t.end()
})
