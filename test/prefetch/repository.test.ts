/**
 * What git reads next is fetched when git is at work, and nothing of it for anybody else.
 */
import { deflateSync } from 'node:zlib'
import t from 'tap'
import { treeOf } from '../../src/prefetch/git-objects.ts'
import { numbered, WalkRig } from './walk-rig.ts'

function plantRepository(rig: WalkRig): void {
  for (const path of [
    'HEAD',
    'config',
    'description',
    'index',
    'packed-refs',
    'hooks/pre-commit.sample',
    'info/exclude',
    'logs/HEAD',
    'objects/00/1111',
    'objects/info/commit-graph',
    'objects/pack/pack-1.idx',
    'objects/pack/pack-1.pack',
    'refs/heads/main',
    'refs/remotes/origin/HEAD',
    'refs/tags/v1',
  ])
    rig.files.put(`work/.git/${path}`, `content of ${path}`)
  for (let directory = 0; directory < 10; directory += 1)
    for (let file = 0; file < 10; file += 1)
      rig.files.put(`work/${numbered('dir', directory)}/${numbered('file', file)}`, `content ${file}`)
}

/** The beginning of every git command. */
async function discover(rig: WalkRig): Promise<void> {
  await rig.stat('work/.git')
  await rig.cat('work/.git/HEAD')
  await rig.test('work/.git/commondir')
}

const downloads = (rig: WalkRig): string[] =>
  rig.files.calls
    .filter(({ verb }) => verb === 'download')
    .map(({ path }) => path)
    .sort()

void t.test(
  'every command: the configuration, the index, the branch and which objects there are, no more',
  async (t) => {
    const rig = new WalkRig(t.testdir())
    plantRepository(rig)
    await discover(rig)
    await rig.pause()
    const fetched = ['HEAD', 'config', 'index', 'packed-refs', 'refs/heads/main']
    t.strictSame(
      downloads(rig),
      fetched.map((path) => `work/.git/${path}`),
    )
    const directories = ['work', 'work/.git', 'work/.git/refs', 'work/.git/refs/heads', 'work/.git/objects']
    for (const path of directories) t.equal(rig.files.count('list', path), 1, path)
    t.equal(rig.files.count('list'), directories.length)
    await rig.cat('work/.git/config')
    await rig.stat('work/.git/refs/heads/main')
    await rig.cat('work/.git/refs/heads/main')
    await rig.pause()
    t.equal(rig.files.count(), directories.length + fetched.length, 'what git asks for then is there')
  },
)

void t.test(
  'git status: each directory is listed once and each file downloaded once, ahead of git',
  async (t) => {
    const rig = new WalkRig(t.testdir())
    plantRepository(rig)
    await discover(rig)
    for (const name of ['config', 'packed-refs', 'index']) await rig.cat(`work/.git/${name}`)
    for (let directory = 0; directory < 10; directory += 1) {
      for (let file = 0; file < 10; file += 1) {
        const path = `work/${numbered('dir', directory)}/${numbered('file', file)}`
        await rig.stat(path)
        await rig.cat(path)
      }
    }
    for (const name of ['objects/info/commit-graph', 'objects/pack/pack-1.idx', 'objects/pack/pack-1.pack'])
      await rig.cat(`work/.git/${name}`)
    for (const name of ['info/exclude', 'refs/remotes/origin/HEAD']) await rig.cat(`work/.git/${name}`)
    /* untracked files are looked for by reading all directories again */
    await rig.readDirectory('work')
    for (let directory = 0; directory < 10; directory += 1)
      await rig.readDirectory(`work/${numbered('dir', directory)}`)
    await rig.pause()
    const asked = rig.files.calls.map(({ verb, path }) => `${verb} ${path}`)
    t.equal(new Set(asked).size, asked.length, 'nothing is asked for twice')
    t.equal(rig.files.count('download'), 100 + 10)
    t.equal(rig.files.count('list'), 12 + 9)
    for (const left of ['logs', 'hooks', 'objects/00'])
      t.equal(rig.files.count('list', `work/.git/${left}`), 0)
    const waited = rig.files.calls.filter(({ priority }) => priority === 0)
    t.ok(waited.length <= 7, `${waited.length} were waited for`)
  },
)

void t.test('git that locks the index looks for hooks: they are listed by then', async (t) => {
  const rig = new WalkRig(t.testdir())
  plantRepository(rig)
  await rig.test('work/.git/index.lock')
  await rig.pause()
  t.equal(rig.files.count('list', 'work/.git/hooks'), 0, 'not for anybody else')
  await discover(rig)
  await rig.cat('work/.git/index')
  await rig.test('work/.git/index.lock')
  await rig.pause()
  t.equal(rig.files.count('list', 'work/.git/hooks'), 1)
  await rig.test('work/.git/hooks/post-index-change')
  await rig.test('work/.git/index.lock')
  await rig.pause()
  t.equal(rig.files.count('list', 'work/.git/hooks'), 1, 'once')
})

void t.test('of a work tree whose files git does not read none is fetched', async (t) => {
  const rig = new WalkRig(t.testdir())
  plantRepository(rig)
  await discover(rig)
  await rig.cat('work/.git/index')
  for (let directory = 0; directory < 10; directory += 1)
    for (let file = 0; file < 10; file += 1)
      await rig.stat(`work/${numbered('dir', directory)}/${numbered('file', file)}`)
  await rig.pause()
  t.strictSame(
    downloads(rig).filter((path) => path.startsWith('work/dir')),
    [],
  )
  const waited = rig.files.calls.filter(({ verb, priority }) => verb === 'list' && priority === 0)
  t.ok(waited.length <= 3, `${waited.length} listings were waited for`)
})

void t.test('files of a repository that are read by themselves are one download each', async (t) => {
  const rig = new WalkRig(t.testdir())
  plantRepository(rig)
  for (const name of ['HEAD', 'index']) {
    await rig.cat(`work/.git/${name}`)
    await rig.pause()
  }
  t.strictSame(downloads(rig), ['work/.git/HEAD', 'work/.git/index'])
  t.equal(rig.files.count('list'), 1)
})

void t.test('the name alone is no sign: a directory without HEAD, objects and refs is none', async (t) => {
  const rig = new WalkRig(t.testdir())
  rig.files.put('plain/config', 'configuration')
  rig.files.put('plain/HEAD', 'of something else')
  await rig.test('plain/commondir')
  await rig.pause()
  t.strictSame(rig.files.log(), ['list plain'])
})

void t.test('a command again within the ttl sends nothing', async (t) => {
  const rig = new WalkRig(t.testdir())
  plantRepository(rig)
  await discover(rig)
  await rig.pause()
  rig.files.resetCalls()
  await discover(rig)
  await rig.pause()
  t.equal(rig.files.count(), 0)
})

void t.test('big packs and indexes are left to those who read them', async (t) => {
  const rig = new WalkRig(t.testdir())
  plantRepository(rig)
  rig.files.put('work/.git/objects/pack/pack-1.pack', new Uint8Array(1024 * 1024 + 1))
  await discover(rig)
  await rig.cat('work/.git/index')
  await rig.pause()
  t.equal(rig.files.count('download', 'work/.git/objects/pack/pack-1.pack'), 0)
  t.equal(rig.files.count('download', 'work/.git/objects/pack/pack-1.idx'), 1)
})

/** A commit and its tree as files of their own, and what leads to the commit. */
function plantHead(rig: WalkRig, leads: Readonly<Record<string, string>>): { commit: string; tree: string } {
  const [commit, tree] = ['c0', '7e'].map((start) => start.repeat(20)) as [string, string]
  const object = (id: string, text: string): void =>
    rig.files.put(`work/.git/objects/${id.slice(0, 2)}/${id.slice(2)}`, deflateSync(text))
  object(commit, `commit 60\0tree ${tree}\nauthor A <a@example.com> 1 +0000\n\nmessage\n`)
  object(tree, 'tree 3\0...')
  for (const [name, text] of Object.entries(leads)) rig.files.put(`work/.git/${name}`, text)
  return { commit, tree }
}

const commitId = 'c0'.repeat(20)

for (const [how, leads] of Object.entries({
  'a branch': { HEAD: 'ref: refs/heads/main\n', 'refs/heads/main': `${commitId}\n` },
  'a branch among packed refs': {
    HEAD: 'ref: refs/heads/packed\n',
    'packed-refs': `# pack-refs with: peeled fully-peeled sorted\n${commitId} refs/heads/packed\n`,
  },
  'a commit': { HEAD: `${commitId}\n` },
})) {
  void t.test(
    `with the index git reads the commit of HEAD and its tree: they are there, by ${how}`,
    async (t) => {
      const rig = new WalkRig(t.testdir())
      plantRepository(rig)
      const { commit, tree } = plantHead(rig, leads)
      await discover(rig)
      await rig.pause()
      t.equal(rig.files.count('list', 'work/.git/objects/c0'), 0, 'not for every command')
      await rig.cat('work/.git/index')
      await rig.pause()
      await rig.pause()
      rig.files.resetCalls()
      for (const id of [commit, tree]) await rig.cat(`work/.git/objects/${id.slice(0, 2)}/${id.slice(2)}`)
      t.equal(rig.files.count(), 0)
    },
  )
}

for (const [how, leads] of Object.entries({
  'is in a pack': { HEAD: `${'d1'.repeat(20)}\n` },
  'is not there yet': { HEAD: 'ref: refs/heads/none\n' },
  'is nothing that git writes': { HEAD: 'ref: ../../outside\n', 'refs/heads/main': `${commitId}\n` },
})) {
  void t.test(`nothing is asked for where the commit of HEAD ${how}`, async (t) => {
    const rig = new WalkRig(t.testdir())
    plantRepository(rig)
    plantHead(rig, leads)
    await discover(rig)
    await rig.cat('work/.git/index')
    await rig.pause()
    await rig.pause()
    const asked = rig.files.calls.filter(({ path }) => /objects\/[0-9a-f]{2}/.test(path))
    t.strictSame(asked, [])
  })
}

void t.test('an object that is no commit leads nowhere', (t) => {
  const tree = '7e'.repeat(20)
  t.equal(treeOf(deflateSync(`commit 9\0tree ${tree}\n`)), tree)
  for (const [what, bytes] of Object.entries({
    'not there': undefined,
    'not deflated': Buffer.from(`commit 9\0tree ${tree}\n`),
    'cut short': deflateSync(`commit 9\0tree ${tree}\n`).subarray(0, 20),
    'a tag': deflateSync(`tag 9\0object ${tree}\n`),
    'with a name that is none': deflateSync(`commit 9\0tree ${tree.slice(2)}..\n`),
    'that grows without end': deflateSync(Buffer.alloc(1024 * 1024)),
  }))
    t.equal(treeOf(bytes), undefined, what)
  t.end()
})
