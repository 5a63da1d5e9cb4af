/** What the service cannot keep: refused with the errno that programs expect, and programs go on. */
import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startBehaviours } from './rig.ts'

const mounted = await startBehaviours(t)
const { shown, sh, ok, root } = mounted

const inputs = join(root, 'inputs')
for (const tree of ['plain', 'linked', 'hard']) {
  fs.mkdirSync(join(inputs, tree, 'sub'), { recursive: true })
  fs.writeFileSync(join(inputs, tree, 'file'), 'content\n')
  fs.writeFileSync(join(inputs, tree, 'sub', 'script'), '#!/bin/sh\n', { mode: 0o755 })
  fs.chmodSync(join(inputs, tree, 'sub'), 0o750)
  fs.utimesSync(join(inputs, tree, 'file'), 1_000_000_000, 1_000_000_001)
  fs.utimesSync(join(inputs, tree, 'sub', 'script'), 1_000_000_000, 1_000_000_003)
  fs.utimesSync(join(inputs, tree, 'sub'), 1_000_000_000, 1_000_000_002)
}
fs.symlinkSync('file', join(inputs, 'linked', 'a-link'))
fs.writeFileSync(join(inputs, 'linked', 'z-last'), 'last\n')
await mounted.start('mkfifo', [join(inputs, 'linked', 'b-fifo')]).ended
fs.linkSync(join(inputs, 'hard', 'file'), join(inputs, 'hard', 'again'))
if (process.getuid?.() === 0) fs.chownSync(join(inputs, 'plain', 'sub', 'script'), 12345, 54321)
const describeTree = `find . -printf '%P %y %m %s %U %G ' -a \\( -type f -printf '%T@' -o -printf '-' \\) -printf '\\n' | sort`

await t.test('symbolic links, hard links, devices, FIFOs and sockets are EPERM', async (t) => {
  const found = await shown(`import socket
write('file', 'x')
show(fails(os.symlink, 'file', 'link'), fails(os.link, 'file', 'hard'), fails(os.mkfifo, 'fifo'))
show(fails(os.mknod, 'device', 0o600 | stat.S_IFCHR, os.makedev(1, 3)))
show(fails(socket.socket(socket.AF_UNIX).bind, 'socket'), fails(os.readlink, 'file'))
os.mknod('regular', 0o600 | stat.S_IFREG)
show(sorted(os.listdir('.')), fails(os.symlink, 'x', 'file'), fails(os.link, 'missing', 'x'))`)
  t.strictSame(found, [
    ['EPERM', 'EPERM', 'EPERM'],
    'EPERM',
    ['EPERM', 'EINVAL'],
    [['file', 'regular'], 'EEXIST', 'ENOENT'],
  ])
})

await t.test('extended attributes are EOPNOTSUPP', async (t) => {
  const found = await shown(`write('file', 'x')
show(fails(os.setxattr, 'file', 'user.x', b'y'), fails(os.getxattr, 'file', 'user.x'), fails(os.listxattr, 'file'))
show(fails(os.removexattr, 'file', 'user.x'), fails(os.getxattr, 'file', 'security.capability'))`)
  t.strictSame(found.flat(), ['EOPNOTSUPP', 'EOPNOTSUPP', 'EOPNOTSUPP', 'EOPNOTSUPP', 'EOPNOTSUPP'])
})

await t.test('ioctls are ENOTTY, and reflinks fall back to a copy', async (t) => {
  const found = await shown(`write('file', 'x'); write('copy', '')
show(fails(fcntl.ioctl, os.open('file', os.O_RDONLY), 0x5401))
show(fails(fcntl.ioctl, os.open('copy', os.O_WRONLY), 0x40049409, os.open('file', os.O_RDONLY)) in ('EOPNOTSUPP', 'ENOTTY', 'EXDEV', 'EINVAL'))
show(os.system('cp --reflink=auto file copy'), read('copy'))`)
  t.strictSame(found, ['ENOTTY', true, [0, 'x']])
})

interface Copying {
  readonly script: (tree: string) => string
  /** What it exits with where it meets a link or a FIFO, and where two names are one file: on vfat of Linux 6.1. */
  readonly atLink: number
  readonly atHardLink: number
}

const copies: Readonly<Record<string, Copying>> = {
  'cp -a': { script: (tree) => `cp -a "${inputs}/${tree}/." .`, atLink: 1, atHardLink: 1 },
  'rsync -a': { script: (tree) => `rsync -a "${inputs}/${tree}/" .`, atLink: 23, atHardLink: 0 },
  'tar x': {
    script: (tree) => `tar cf ../in.tar -C "${inputs}/${tree}" .; tar xpf ../in.tar`,
    atLink: 2,
    atHardLink: 2,
  },
}

for (const [program, { script, atLink, atHardLink }] of Object.entries(copies)) {
  const name = program.replaceAll(' ', '')

  await t.test(`${program} of a tree without links exits with 0, owner, mode and times kept`, async (t) => {
    const found = await ok(`mkdir ${name}; cd ${name}; ${script('plain')}; ${describeTree}`)
    const expected = await mounted.start('bash', ['-c', `cd "${inputs}/plain"; ${describeTree}`]).ended
    t.equal(withoutRoot(found), withoutRoot(expected.stdout))
  })

  await t.test(`${program} goes on past a link, says so, and copies the rest`, async (t) => {
    const copied = await sh(`mkdir ${name}-links; cd ${name}-links; ${script('linked')}`)
    t.equal(copied.code, atLink, 'as on vfat')
    t.match(copied.stderr, /a-link.*: Operation not permitted/)
    t.match(copied.stderr, /b-fifo.*: (Operation not permitted|Cannot mkfifo)/)
    const tree = await ok(`cd ${name}-links; find . -not -type d | sort; cat z-last`)
    t.equal(tree, './file\n./sub/script\n./z-last\nlast\n')
  })

  await t.test(
    `${program} of two names of one file: ${atHardLink === 0 ? 'two files' : 'one of them'}`,
    async (t) => {
      const copied = await sh(`mkdir ${name}-hard; cd ${name}-hard; ${script('hard')}`)
      t.equal(copied.code, atHardLink, 'as on vfat')
      if (atHardLink !== 0) t.match(copied.stderr, /again.*: Operation not permitted/)
      const names = atHardLink === 0 ? './again\n./file\n./sub/script\n' : './file\n./sub/script\n'
      t.equal(await ok(`cd ${name}-hard; find . -type f | sort`), names)
    },
  )
}

await t.test('git finds out that there are no links, and that modes are kept', async (t) => {
  const said = await ok(`git init -q repository; cd repository
git config core.symlinks; git config core.filemode
git config user.name x; git config user.email x@example.com
echo text > script; git add script; git commit -q -m first; chmod +x script; git status --porcelain`)
  t.equal(said, 'false\ntrue\n M script\n')
  const cloned = await ok(`cd repository
git update-index --add --cacheinfo 120000,$(printf script | git hash-object -w --stdin),link
git commit -q -m linked; cd ..; git clone -q repository clone; cd clone; cat link; git status --porcelain`)
  t.equal(cloned, 'script', 'a link of the repository becomes a file, and nothing is modified')
})

function withoutRoot(tree: string): string {
  return tree.replace(/^ d .*\n/m, '').replace(/( d \d+) \d+/g, '$1')
}
