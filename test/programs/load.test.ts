/** Programs that write much and check every byte. */
import { join } from 'node:path'
import t from 'tap'
import { mountEmulator } from '../mount/rig.ts'
import { fixtures, sides } from '../mount/side-by-side.ts'
import { needs } from './installed.ts'

const mounted = await mountEmulator(t, { emulator: { latencyMs: 10 } })
const inputs = fixtures(mounted.root)
const { alike, both } = sides(mounted, inputs)
const fsx = join(import.meta.dirname, 'fsx.py')
const limits = { limitMs: 100_000 }

/* what fio counted, job by job: errors, and bytes and calls of each kind; how long it took is left out */
const counted = `node -e '
  for (const { jobname, error, read, write, sync } of JSON.parse(fs.readFileSync(0)).jobs)
    console.log(jobname, error, read.io_bytes, read.total_ios, write.io_bytes, write.total_ios, sync.total_ios)'`
const fio = (job: string, options = ''): string =>
  `fio ${options} --output-format=json --output="$report" ${join(import.meta.dirname, job)}; ${counted} < "$report"`

await t.test('fio verifies random writes of several jobs', needs('fio'), async (t) => {
  /* beside the compared directory: headers of blocks hold times */
  await alike(
    t,
    'fio',
    `report=$(mktemp --tmpdir="$INPUTS"); mkdir ../verified
     ${fio('verified.fio', '--directory=../verified')}
     ${fio('verified.fio', '--directory=../verified --verify_only')}`,
    limits,
  )
  const verify = `cd "$INPUTS"; report=fio-report; ${fio('verified.fio', '--directory="$HOME_OF_SESSION/verified" --verify_only')}`
  const env = { ...mounted.env, INPUTS: inputs, HOME_OF_SESSION: mounted.emulator.home }
  const checked = await mounted.start('bash', ['-c', verify], { env }).ended
  t.equal(checked.code, 0, checked.stderr)
  t.match(checked.stdout, /random 0 2097152/, 'the service has what was verified')
})

await t.test('fio leaves the same bytes', needs('fio'), async (t) => {
  await alike(t, 'fio-bytes', `report=$(mktemp --tmpdir="$INPUTS"); ${fio('repeatable.fio')}`, limits)
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

/** Of each stressor. */
const operations = 10

/**
 * What failed or was left out, with the exit code, and which stressors came as far as they should; those of
 * several processes go on a little longer.
 */
const stress = (flags: readonly string[]): string => `report=$(mktemp --tmpdir="$INPUTS")
   { stress-ng --temp-path . --verify --oomable --metrics --yaml "$report" ${flags.join(' ')} 2>&1 || echo "exit $?"; } |
     grep -E 'fail|skip|warn|error|successful|exit' | sed -E 's/\\[[0-9]+\\] ?//; s/ in [0-9].*//' | sort
   sed -n 's/.*- stressor: //p; s/ *bogo-ops: //p' "$report" | paste -d ' ' - - |
     while read -r name done; do [ "$done" -ge ${operations} ] && echo "$name: all" || echo "$name: $done"; done`

await t.test('stress-ng verifies what its filesystem stressors do', needs('stress-ng'), async (t) => {
  const run = (name: string): string => `--${name} 1 --${name}-ops ${operations}`
  const flags = [
    ...stressors.map(run),
    ...sized.map((size) => `${run(size.replace(/-[a-z]+$/, ''))} --${size} 1m`),
    '--chdir-dirs 100 --timeout 80s',
  ]
  const said = await alike(t, 'stress', stress(flags), limits)
  t.strictSame(said.match(/^\S+: all$/gm)?.length, stressors.length + sized.length)
})

/* what the service has no place for: both sides run the same, and the mount is expected to refuse it */
await t.test(
  'stress-ng leaves out what needs links or extended attributes, on the mount alone',
  needs('stress-ng'),
  async (t) => {
    for (const [stressor, refused] of [
      ['link', 'link: link calls not allowed on the filesystem, skipping stressor'],
      ['symlink', 'symlink: link calls not allowed on the filesystem, skipping stressor'],
      ['xattr', 'xattr stressor will be skipped, filesystem does not support xattr'],
    ] as const) {
      const flags = [`--${stressor} 1 --${stressor}-ops 1`, '--timeout 2s']
      const { onDisk, onMount } = await both(stressor, stress(flags), limits)
      t.notMatch(onDisk.stdout, /skip|exit/, stressor)
      t.match(onMount.stdout, refused)
      t.match(onMount.stdout, /^exit 3$/m, 'as stress-ng says that it left something out')
      t.notMatch(onMount.stdout, /fail/)
      t.strictSame(onMount.shown, onDisk.shown)
    }
  },
)

await t.test(
  'fsx compares every byte of a file that is written, mapped, cut and copied at random',
  needs('python3'),
  async (t) => {
    const said = await alike(t, 'fsx', `for seed in 1 2; do python3 ${fsx} fsx-$seed $seed 500; done`, limits)
    t.match(said, /^500 operations/)
  },
)

await t.test('the daemon met no fault of its own', (t) => {
  t.strictSame(mounted.logged('error'), [])
  t.end()
})
