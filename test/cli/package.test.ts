/* What npm publishes: packed, installed into an empty prefix without dev dependencies, and used. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { startEmulator } from '../../src/emulator/emulator.ts'

async function run(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  cwd = process.cwd(),
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(program, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout, stderr }
}

function tarballs(): string[] {
  return readdirSync('.').filter((name) => name.endsWith('.tgz'))
}

/** Where links of the documents lead to that is not there. */
function deadLinks(root: string): string[] {
  const documents = globSync('**/*.md', { cwd: root, exclude: ['node_modules/**'] })
  return documents.flatMap((document) => {
    const links = readFileSync(join(root, document), 'utf8').matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)
    return [...links]
      .map(([, target = '']) => target)
      .filter((target) => !existsSync(join(root, dirname(document), target)))
      .map((target) => `${document}: ${target}`)
  })
}

/** What compiled modules import by a relative path that leads to nothing. */
function deadImports(root: string): string[] {
  return globSync('**/*.js', { cwd: root }).flatMap((file) => {
    const imports = readFileSync(join(root, file), 'utf8').matchAll(
      /(?:\bfrom|\bimport)[ (]+['"](\.[^'"]+)['"]/g,
    )
    return [...imports]
      .map(([, target = '']) => target)
      .filter((target) => !existsSync(join(root, dirname(file), target)))
      .map((target) => `${file}: ${target}`)
  })
}

/**
 * The examples of library.md in an empty project that has the package and `@types/node`: compiled, and run as
 * it is compiled. Before that with the types of Node that a dependency happens to bring, which nobody has to rely on.
 */
async function useAsLibrary(
  t: Test,
  { root, library, env, target }: { root: string; library: string; env: NodeJS.ProcessEnv; target: string[] },
): Promise<void> {
  const project = join(root, 'project')
  mkdirSync(join(project, 'node_modules'), { recursive: true })
  symlinkSync(library, join(project, 'node_modules', 'mount-session'))
  const documented = readFileSync(join(library, 'src/client/library.md'), 'utf8')
  const examples = [...documented.matchAll(/```ts\n([^]*?)```/g)]
    .map(([, example = '']) => example)
    /* others show a call or two */
    .filter((example) => example.includes('process.argv'))
  const others = examples.slice(1).map((_, index) => `example-${index + 2}`)
  writeFileSync(join(project, 'package.json'), '{"type":"module"}')
  for (const [index, name] of ['example', ...others].entries())
    writeFileSync(join(project, `${name}.ts`), examples[index] ?? '')
  const compiler = [
    join(process.cwd(), 'node_modules/.bin/tsc'),
    ...[
      '--strict',
      '--exactOptionalPropertyTypes',
      '--target',
      'es2024',
      '--module',
      'nodenext',
      'example.ts',
      ...others.map((name) => `${name}.ts`),
    ],
  ]
  const compile = () => run(process.execPath, compiler, {}, project)
  t.match(await compile(), { code: 0, stdout: '' })
  mkdirSync(join(project, 'node_modules', '@types'))
  symlinkSync(join(process.cwd(), 'node_modules/@types/node'), join(project, 'node_modules/@types/node'))
  t.match(await compile(), { code: 0, stdout: '' })
  const used = await run(process.execPath, ['example.js', ...target], env, project)
  t.match(used, { code: 0, stderr: '' })
  t.match(
    used.stdout,
    /^session-0001 is active, version 1\n\d+ bytes in example.ts\n9 bytes in note.txt\nremember\n/,
  )
  t.match(used.stdout, /\nstdout said by the agent\n$/)
  t.not(others.length, 0)
  for (const name of others) {
    const ran = await run(process.execPath, [`${name}.js`, ...target], env, project)
    t.match(ran, { code: 0, stderr: '', stdout: /./ }, name)
  }
  t.match(await run(process.execPath, ['example.js', 'agent', 'no-such-session'], env, project), {
    code: 1,
    stderr: /^session_not_found: /,
  })
}

void t.test('the packed program runs, mounts, and can be imported', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'mount-session-package-'))
  const prefix = join(root, 'prefix')
  const directory = join(root, 'mnt')
  mkdirSync(directory)

  /* the line that the README gives, into an empty prefix */
  const readme = readFileSync('README.md', 'utf8')
  const [, line = ''] = /^(npm install -g .*?)\s+#/m.exec(readme) ?? []
  t.match(line, /"\$\(npm pack --silent\)"$/)
  const [before, after] = [tarballs(), () => tarballs().filter((name) => !before.includes(name))] as const
  const npm = {
    prefix,
    omit: 'dev',
    prefer_offline: 'true',
    audit: 'false',
    fund: 'false',
    update_notifier: 'false',
  }
  const npmEnv = Object.fromEntries(Object.entries(npm).map(([name, value]) => [`npm_config_${name}`, value]))
  const installed = await run('sh', ['-c', line], npmEnv)
  for (const name of after()) rmSync(name)
  t.match(installed, { code: 0, stderr: '' }, 'without a warning')
  t.ok(existsSync(join(prefix, 'share/man/man1/mount-session.1')), 'with its man page')

  const program = join(prefix, 'bin/mount-session')
  const library = join(prefix, 'lib/node_modules/mount-session')
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
  t.match(await run(program, ['--version']), { code: 0, stdout: `${version}\n` })
  t.same(readdirSync(library).toSorted(), [
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'dist',
    'node_modules',
    'package.json',
    'scripts',
    'src',
  ])
  t.notOk(readdirSync(join(library, 'node_modules')).includes('typescript'))
  t.strictSame(deadLinks(library), [])
  t.strictSame(deadImports(join(library, 'dist')), [])
  const imported = await run(process.execPath, [
    '--input-type=module',
    '--eval',
    `const all = await import(${JSON.stringify(`file://${library}/dist/index.js`)}); console.log(typeof all.SessionClient)`,
  ])
  t.match(imported, { code: 0, stdout: 'function\n' })
  /* what the driver for Kubernetes speaks is read from files beside its code */
  const spoken = await run(process.execPath, [
    '--input-type=module',
    '--eval',
    `const { loadService } = await import(${JSON.stringify(`file://${library}/dist/csi/grpc-server.js`)});
     for (const [proto, name] of [['csi.proto', 'csi.v1.Node'], ['registration.proto', 'pluginregistration.Registration']])
       console.log(Object.keys(loadService(proto, name)).length)`,
  ])
  t.match(spoken, { code: 0, stdout: '4\n2\n', stderr: '' })

  const seed = { agent: 'agent', session: 'session-0001' }
  const emulator = await startEmulator({ data: join(root, 'data'), seed: [seed], seedFiles: true })
  const env = {
    HOME: root,
    FOUNDRY_PROJECT_ENDPOINT: emulator.endpoint,
    MOUNT_SESSION_TOKEN: emulator.token,
  }
  emulator.appendLog(seed.agent, seed.session, 'said by the agent')
  try {
    await useAsLibrary(t, { root, library, env, target: [seed.agent, seed.session] })
    t.match(await run(program, ['ls', 'agent/session-0001:'], env), {
      code: 0,
      stdout: /README.md/,
      stderr: '',
    })
    t.match(await run(program, ['agent/session-0001', directory], env), { code: 0, stderr: '' })
    const sandbox = emulator.filesDirectory(seed.agent, seed.session)
    const read = await run('timeout', ['20', 'cat', join(directory, 'README.md')])
    t.equal(read.stdout, readFileSync(join(sandbox, 'README.md'), 'utf8'))
    await run('timeout', ['20', 'sh', '-c', 'echo written > "$1/new"', 'sh', directory])
    t.match(await run(program, ['unmount', directory], env), { code: 0, stderr: '' })
    t.equal(readFileSync(join(sandbox, 'new'), 'utf8'), 'written\n')
  } finally {
    await run(program, ['unmount', '--force', directory], env)
    await emulator.close()
    /* fails on a mount that is still there, and leaves it alone */
    rmdirSync(directory)
    rmSync(root, { recursive: true })
  }
})
