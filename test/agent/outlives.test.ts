/**
 * The daemon of a mount of all sessions is killed under programs that work in several of them. Layer: test.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { describe } from '../mount/rig.ts'
import { needs } from '../programs/installed.ts'
import { fileTimeout, killsEach, mountOutliving, seed, timeout } from '../outlives/rig.ts'
import { bytesOf, mountOutlivingAgent, one, other } from './rig.ts'

t.setTimeout(fileTimeout)

/** Works in the sessions that it is given with files open in all of them; what it wrote is asked for at its end. */
const program = `
import os, sys, time
sessions, rounds = sys.argv[1:3], int(sys.argv[3])
files = {}
for session in sessions:
    os.makedirs(session + '/made', exist_ok=True)
    files[session] = os.open(session + '/log', os.O_RDWR | os.O_CREAT | os.O_APPEND)
    theirs = os.open(session + '/theirs', os.O_RDONLY)
    files[session + ' theirs'] = theirs
print('open', flush=True)
for n in range(rounds):
    for session in sessions:
        os.write(files[session], b'%s %d\\n' % (session.encode(), n))
        with open(f'{session}/made/{n % 20}', 'w') as file: file.write(str(n))
        text = session.encode() + b' has this'
        if os.pread(files[session + ' theirs'], 100, 0) != text: raise SystemExit('read something else')
        if n % 50 == 0 and len(os.listdir(session + '/made')) != min(n + 1, 20): raise SystemExit('not all listed')
    time.sleep(0.002)
for session in sessions:
    os.fsync(files[session])
    lines = open(session + '/log').read().splitlines()
    if lines != [f'{session} {n}' for n in range(rounds)]: raise SystemExit('other lines')
print('done', flush=True)
`

void t.test(
  'programs at work in two sessions outlive the daemon',
  { timeout, ...needs('python3') },
  async (t) => {
    const mounted = await mountOutlivingAgent(t)
    for (const session of [one, other])
      fs.writeFileSync(join(mounted.home(session), 'theirs'), `${session} has this`)
    const rounds = 1500
    const working = mounted.start(
      'python3',
      ['-c', `import os; os.chdir('${mounted.mountedAt}')\n${program}`, one, other, String(rounds)],
      {
        env: mounted.env,
        limitMs: timeout,
        onLimit: mounted.abort,
      },
    )
    await working.until((said) => said.includes('open'))
    const times = Math.max(3, killsEach)
    const done = await mounted.killWhile(working, { times, seed })
    const ended = await working.ended
    t.equal(ended.code, 0, describe(ended))
    t.comment(`${done} kills`)
    const synced = await mounted.command(['sync', mounted.mountedAt])
    t.equal(synced.code, 0, describe(synced))
    for (const session of [one, other]) {
      const lines = Array.from({ length: rounds }, (_, n) => `${session} ${n}\n`).join('')
      t.equal(bytesOf(mounted, session, 'log'), lines)
      for (let n = 0; n < 20; n++) t.equal(bytesOf(mounted, session, `made/${n}`), String(rounds - 20 + n))
    }
    t.equal((await mounted.status()).restarts.length > 0, true)
  },
)

void t.test(
  'a daemon that comes back opens the sessions that were open, and no others',
  { timeout },
  async (t) => {
    const mounted = await mountOutlivingAgent(t, { sessions: [one, other, 'third-session'] })
    const { emulator, top } = mounted
    await top(`echo 1 >${one}/file; ls third-session`)
    await mounted.command(['sync', mounted.mountedAt])
    emulator.resetCounts()
    const holding = mounted.start(
      'bash',
      [
        '-c',
        `cd "$1"; exec 3>>${one}/file; cd third-session; echo ready; until [ -e "$2" ]; do sleep 0.05; done
     echo 2 >&3; pwd -P; ls`,
        'bash',
        mounted.mountedAt,
        join(mounted.root, 'flag'),
      ],
      { env: mounted.env, limitMs: timeout, onLimit: mounted.abort },
    )
    await holding.until((said) => said.includes('ready'))
    await mounted.kill()
    fs.writeFileSync(join(mounted.root, 'flag'), '')
    const ended = await holding.ended
    t.match(ended, { code: 0, stdout: 'third-session\n' }, describe(ended))
    const states = Object.fromEntries(
      ((await mounted.status()).sessions ?? []).map(({ session, state }) => [session, state]),
    )
    t.strictSame(states, { [one]: 'open', 'third-session': 'open' })
    t.equal(emulator.counts().getSession, 0, 'what goes on is not asked for')
    t.match(await top(`cat ${one}/file; ls ${other}`), '1\n2\n')
    t.equal(emulator.counts().getSession, 1)
  },
)

void t.test('inode numbers and what is unsent stay over a kill, in each session', { timeout }, async (t) => {
  const mounted = await mountOutlivingAgent(t)
  const { emulator, top } = mounted
  const hold = emulator.hold({ verb: 'upload' })
  await top(`for each in ${one} ${other}; do mkdir $each/sub; echo $each >$each/sub/file; done`)
  await hold.reached
  const shown = `find . -name .status -prune -o -name .logs -prune -o -printf '%p %i %s\\n' | sort; cat ${one}/sub/file ${other}/sub/file`
  const before = await top(shown)
  await mounted.kill()
  t.equal(await top(shown), before)
  const paths = (await mounted.status()).paths.map(({ path }) => path).toSorted()
  t.strictSame(
    paths,
    [one, other]
      .flatMap((each) => [`${each}/sub`, `${each}/sub/file`])
      .filter((path) => paths.includes(path)),
  )
  t.ok(paths.includes(`${one}/sub/file`) && paths.includes(`${other}/sub/file`))
  hold.release()
  t.equal((await mounted.command(['sync', mounted.mountedAt])).code, 0)
  t.equal(bytesOf(mounted, one, 'sub/file'), `${one}\n`)
  t.equal(bytesOf(mounted, other, 'sub/file'), `${other}\n`)
})

void t.test('mount-session restart goes on with all sessions', { timeout }, async (t) => {
  const mounted = await mountOutlivingAgent(t)
  const { top } = mounted
  await top(`echo 1 >${one}/file; echo 2 >${other}/file`)
  const before = mounted.daemon()
  for (const what of [mounted.mountedAt, join(mounted.mountedAt, one)]) {
    const restarted = await mounted.command(['restart', what], { limitMs: 60_000 })
    t.equal(restarted.code, 0, describe(restarted))
  }
  t.not(mounted.daemon(), before)
  t.equal(
    await top(`cat ${one}/file ${other}/file; mkdir session-made-here; ls`),
    `1\n2\n${['session-made-here', one, other].join('\n')}\n`,
  )
  t.match(await mounted.status(), {
    restarts: [{}, {}],
    sessions: [
      { session: one, state: 'open' },
      { session: other, state: 'open' },
    ],
  })
  const unmounted = await mounted.command(['unmount', mounted.mountedAt])
  t.equal(unmounted.code, 0, describe(unmounted))
})

void t.test('a session that was made here is there for the next daemon', { timeout }, async (t) => {
  const mounted = await mountOutliving(t, { whole: true, args: ['--ttl', '60s'] })
  const { mountedAt, ok } = mounted
  await ok('echo 1 >file; cd ..; mkdir my-session-01; echo 2 >my-session-01/file')
  await mounted.kill()
  t.equal(
    await ok('cat file; cat ../my-session-01/file; cd ..; ls'),
    '1\n2\ndemo-session-0001\nmy-session-01\n',
  )
  t.equal((await mounted.command(['sync', mountedAt])).code, 0)
})
