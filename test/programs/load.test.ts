/** Programs that write much and check every byte. */
import t from 'tap'
import { mountEmulator } from '../mount/rig.ts'
import { needs } from './installed.ts'

const mounted = await mountEmulator(t, { emulator: { latencyMs: 10 } })
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

await t.test('stress-ng verifies what its filesystem stressors do', needs('stress-ng'), async (t) => {
  const stressors = 'hdd fallocate rename dentry dir dirdeep seek'.split(' ')
  const flags = stressors.map((name) => `--${name} 1 --${name}-ops 100`).join(' ')
  const sizes = '--hdd-bytes 1m --fallocate-bytes 1m --seek-size 1m --dentries 64 --dirdeep-inodes 200'
  const ended = await mounted.sh(
    `mkdir stress; stress-ng --temp-path stress --verify --timeout 20s --oomable ${flags} ${sizes} 2>&1; rmdir stress`,
    limits,
  )
  t.equal(ended.code, 0, ended.stdout)
  t.notMatch(ended.stdout, /unsuccessful|fail:/)
})

await t.test('the daemon met no fault of its own', (t) => {
  t.strictSame(mounted.logged('error'), [])
  t.end()
})
