/**
 * What can be done at the top, where the sessions are, and between them. Layer: test.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { treeOf } from '../mount/rig.ts'
import { agent, bytesOf, countsOf, makeSession, mountAgent, one, other } from './rig.ts'

void t.test('mkdir makes a session of that name, which can be worked in at once', async (t) => {
  const mounted = await mountAgent(t)
  const { emulator, top, logged } = mounted
  emulator.resetCounts()
  await top('mkdir my-session-01; cd my-session-01; echo 1 >file; mkdir sub; cat file')
  t.equal(emulator.counts().createSession, 1)
  t.equal(emulator.statuses()['201'], 1 + emulator.counts().upload)
  t.equal((await top('ls')).trim(), ['my-session-01', one, other].join('\n'))
  await top(`stat -c '%F %a' my-session-01 | grep -x 'directory 755'`)
  const synced = await mounted.command(['sync', join(mounted.mountedAt, 'my-session-01')])
  t.equal(synced.code, 0, synced.stderr)
  t.equal(bytesOf(mounted, 'my-session-01', 'file'), '1\n')
  t.match(logged('info').join('\n'), 'made a session')
})

void t.test('a session that was made here is there while the list lags behind', async (t) => {
  const { emulator, top, tryTop } = await mountAgent(t, { args: ['--ttl', '200ms'] })
  await top('sleep 3; ls >/dev/null; sleep 0.3')
  const lagging = emulator.hold({ verb: 'listSessions', at: 'answer' })
  const listing = tryTop('ls')
  await lagging.reached
  /* an answer made before is on its way: the new one is not in it */
  const making = top('mkdir my-session-02; echo 1 >my-session-02/file; cat my-session-02/file')
  setTimeout(() => lagging.release(), 1000)
  t.equal(await making, '1\n')
  t.equal((await listing).code, 0)
  t.match(await top('ls; cat my-session-02/file'), /my-session-02\n.*1\n/s)
  t.match(await top('sleep 1; ls'), 'my-session-02')
})

void t.test('mkdir of what is taken is EEXIST, of what no session can be called EPERM', async (t) => {
  const { emulator, top, tryTop } = await mountAgent(t, { args: ['--ttl', '60s'] })
  await makeSession(emulator, 'made-elsewhere')
  emulator.resetCounts()
  t.match(await tryTop(`mkdir ${one}`), { code: 1, stderr: 'File exists' })
  t.strictSame(countsOf(emulator), {}, 'one that is known is not asked for')
  t.match(await tryTop('mkdir made-elsewhere'), { code: 1, stderr: 'File exists' })
  for (const name of ['short', 'with space', 'with.dot-0001', 'x'.repeat(129), 'schön-session'])
    t.match(await tryTop(`mkdir '${name}'`), { code: 1, stderr: 'Operation not permitted' }, name)
  t.equal(emulator.counts().createSession, 1)
  await top(`mkdir -p ${one}/a/b; mkdir ${'x'.repeat(128)}`)
})

void t.test('rmdir of a session is EPERM, and the log names the command for it', async (t) => {
  const { emulator, top, tryTop, logged } = await mountAgent(t)
  t.match(await tryTop(`rmdir ${one}`), { code: 1, stderr: 'Operation not permitted' })
  t.match(await tryTop(`echo 1 >${one}/file; rm -rf ${one}; ls -d ${one}`), { code: 1 })
  t.equal(await top(`ls -A ${one}`), '', 'what is in it can be removed')
  t.equal(emulator.counts().deleteSession, 0)
  t.match(logged('warn').join('\n'), `mount-session session delete ${agent}/${one}`)
})

void t.test('nothing but a session can be made at the top, and none renamed: EPERM', async (t) => {
  const { emulator, top, tryTop } = await mountAgent(t)
  const refused = [
    'touch my-session-03',
    'echo 1 >file',
    'ln -s target link',
    'mkfifo pipe-0001',
    `ln ${one} hard-link`,
    `mv ${one} my-session-04`,
    `mv ${one} ${other}-x`,
    'chmod 700 .',
    'touch .',
    `rm ${one}`,
    'rm .status',
    'echo 1 >.status',
  ]
  await top(`echo 1 >${one}/file`)
  for (const script of refused) {
    const { code, stderr } = await tryTop(script)
    t.not(code, 0, script)
    t.match(stderr, /not permitted|not allowed|Is a directory|Permission denied/, script)
  }
  const calls = `
import os, errno
def fails(what, *words, **more):
    try: what(*words, **more)
    except OSError as error: print(what.__name__, errno.errorcode[error.errno])
    else: print(what.__name__, 'was done')
fails(os.rename, '${one}', 'my-session-04')
fails(os.rename, '${one}', '${other}')
fails(os.open, 'my-session-05', os.O_CREAT | os.O_WRONLY)
fails(os.mknod, 'my-session-05')
fails(os.chmod, '.', 0o700)
fails(os.rmdir, '${one}')
fails(os.rename, '${one}/file', 'my-session-04')
fails(os.rename, '${one}/file', '${other}/file')
fails(os.setxattr, '${one}', 'user.a', b'b')
`
  t.strictSame((await top(`python3 -c "${calls}"`)).trim().split('\n'), [
    'rename EPERM',
    'rename EPERM',
    'open EPERM',
    'mknod EPERM',
    'chmod EPERM',
    'rmdir EPERM',
    'rename EXDEV',
    'rename EXDEV',
    'setxattr ENOTSUP',
  ])
  t.equal((await top('ls')).trim(), `${one}\n${other}`)
  t.equal(await top(`cat ${one}/file`), '1\n')
  t.equal(emulator.counts().createSession, 0)
})

void t.test('mv of a file to another session copies it, and a session is not moved', async (t) => {
  const mounted = await mountAgent(t)
  const { top, tryTop, home } = mounted
  await top(
    `echo bytes >${one}/file; chmod 640 ${one}/file; mv ${one}/file ${other}/moved; cat ${other}/moved`,
  )
  await mounted.command(['sync', mounted.mountedAt])
  t.equal(bytesOf(mounted, other, 'moved'), 'bytes\n')
  t.equal(bytesOf(mounted, one, 'file'), undefined)
  t.match(await top(`stat -c %a ${other}/moved`), '640')
  await top(`echo 1 >${one}/stays`)
  for (const script of [`mv ${one} ${other}`, `mv -T ${one} ${other}`, `mv ${one} my-session-04`])
    t.match(await tryTop(script), { code: 1, stderr: 'Operation not permitted' }, script)
  await mounted.command(['sync', mounted.mountedAt])
  t.strictSame([fs.readdirSync(home(one)), fs.readdirSync(home(other))], [['stays'], ['moved']])
})

void t.test(
  'a session takes what rsync -a, cp -a and tar say of its directory; its time is when it was used',
  async (t) => {
    const { top } = await mountAgent(t)
    const shown = await top(
      `from=$(mktemp -d); echo 1 >$from/file; chmod 750 $from; touch -d 2020-01-01 $from
     rsync -a $from/ ${one}/; stat -c %a ${one}
     chmod 700 ${one}; cp -a $from/. ${one}/; stat -c %a ${one}
     chmod 700 ${one}; tar -C $from -cf - . | tar -C ${one} -xf -; stat -c '%a %Y' ${one}; cat ${one}/file; rm -r $from`,
    )
    const lines = shown.trim().split('\n')
    const [mode, time] = lines[2]?.split(' ') ?? []
    t.strictSame([lines[0], lines[1], mode, lines[3]], ['750', '750', '750', '1'])
    t.ok(Number(time) > Date.parse('2026-01-01') / 1000, 'as the list has it')
  },
)

void t.test(
  'cp -r between sessions, and cp and cmp of large files, give the other session the bytes',
  async (t) => {
    const mounted = await mountAgent(t)
    const { top, root, home, emulator } = mounted
    const source = join(root, 'source')
    fs.mkdirSync(join(source, 'deep', 'er'), { recursive: true })
    for (let i = 0; i < 30; i++)
      fs.writeFileSync(join(source, 'deep', `file-${i}`), `content ${i}\n`.repeat(i + 1))
    fs.writeFileSync(join(source, 'deep', 'er', 'large'), Buffer.alloc(5_000_000, 'large '))
    await top(
      `cp -r '${source}' ${one}/tree; cp -r ${one}/tree ${other}/copied; diff -r ${one}/tree ${other}/copied`,
    )
    await top(`cd ${one}; cp tree/deep/er/large ../${other}/again; cmp tree/deep/er/large ../${other}/again`)
    t.equal((await mounted.command(['sync', mounted.mountedAt])).code, 0)
    t.strictSame(treeOf(join(home(one), 'tree')), treeOf(source))
    t.strictSame(treeOf(join(home(other), 'copied')), treeOf(source))
    t.ok(
      fs
        .readFileSync(join(home(other), 'again'))
        .equals(fs.readFileSync(join(source, 'deep', 'er', 'large'))),
    )
    t.equal(emulator.counts().upload, 31 + 31 + 1)
  },
)

void t.test('a mount that is read-only makes no session', async (t) => {
  const { emulator, tryTop, top } = await mountAgent(t, { args: ['-o', 'ro'] })
  t.match(await tryTop('mkdir my-session-06'), { code: 1, stderr: 'Read-only file system' })
  t.match(await tryTop(`echo 1 >${one}/file`), { code: 1, stderr: 'Read-only file system' })
  await top(`ls ${one} ${other}`)
  t.equal(emulator.counts().createSession, 0)
})
