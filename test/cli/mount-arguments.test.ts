import t from 'tap'
import { parseMountCommand } from '../../src/cli/mount-arguments.ts'
import { dataDirectories } from '../../src/cli/session-arguments.ts'
import { optionRows } from '../../src/options/table.ts'

const env = { HOME: '/home/u', FOUNDRY_PROJECT_ENDPOINT: 'https://first.example/p' }
const parse = (args: string, environment: Readonly<Record<string, string>> = env) =>
  parseMountCommand(args.split(' '), environment, '/work')

void t.test('the defaults are those of the table', (t) => {
  const { options, run } = parse('agent/session mnt')
  t.match(options, {
    agent: 'agent',
    session: 'session',
    directory: '/work/mnt',
    endpoint: 'https://first.example/p',
    ttlMs: 2000,
    ownTtlMs: 60_000,
    timeoutMs: 120_000,
    dirtyExpireMs: 30_000,
    maxFileBytes: 52_428_800,
    localNames: ['.*.sw?', '.#*', '4913'],
    renameLimit: 1000,
    uploads: 128,
    downloads: 128,
    cacheBytes: 2 ** 30,
    logBytes: 2 ** 26,
    umask: 0o022,
    readOnly: false,
    sync: false,
    conflict: 'keep',
    logs: 'open',
  })
  t.equal(options.contentTtlMs, undefined)
  t.equal(options.token, undefined)
  t.same(run, { foreground: false, logLevel: 'info', logFile: undefined, traceFile: undefined })
  t.end()
})

void t.test('a flag wins over -o, that over the environment; the first variable that is set counts', (t) => {
  const both = { ...env, AZURE_AI_PROJECT_ENDPOINT: 'https://second.example' }
  t.equal(parse('a/s d', both).options.endpoint, 'https://first.example/p')
  t.equal(
    parse('a/s d', { ...both, FOUNDRY_PROJECT_ENDPOINT: '' }).options.endpoint,
    'https://second.example',
  )
  t.equal(parse('a/s d -o endpoint=https://list.example').options.endpoint, 'https://list.example')
  t.equal(
    parse('a/s d -o endpoint=https://list.example --endpoint https://flag.example/').options.endpoint,
    'https://flag.example',
  )
  t.equal(parse('a/s d -o ttl=9 --ttl 3').options.ttlMs, 3000)
  t.equal(parse('a/s d', { ...env, MOUNT_SESSION_TOKEN: 'secret' }).options.token, 'secret')
  t.end()
})

void t.test('arguments and options may come in any order, as mount(8) and fstab bring them', (t) => {
  const noise = 'rw,dev,nosuid,exec,noauto,_netdev,defaults,nofail,noatime,x-systemd.automount,comment=mine'
  for (const line of [
    `a/s d -o ${noise},ttl=5 -f`,
    `-f -o ttl=5,${noise} a/s d`,
    `a/s -o ${noise} d --ttl=5 -f`,
  ]) {
    const { options, run } = parse(line)
    t.match({ ...options, ...run }, { agent: 'a', directory: '/work/d', ttlMs: 5000, foreground: true }, line)
  }
  t.end()
})

void t.test('-o takes lists, switches that are taken back, escaped commas, and refuses the rest', (t) => {
  t.match(parse('a/s d -o ro,sync,allow_other,uid=7,gid=8,umask=077,immutable,show-special,noexec').options, {
    readOnly: true,
    noExec: true,
    sync: true,
    allowOther: true,
    uid: 7,
    gid: 8,
    umask: 0o077,
    immutable: true,
    showSpecial: true,
  })
  t.equal(parse('a/s d').options.special, '.')
  t.equal(parse('a/s d -o special=.mount-').options.special, '.mount-')
  t.equal(parse('a/s d -o ro -o rw').options.readOnly, false)
  t.equal(parse('a/s d -o rw,ro').options.readOnly, true)
  t.equal(parse('a/s d -o sync,async').options.sync, false)
  t.same(parse('a/s d -o local-names=*.tmp\\,*.bak,ro').options.localNames, ['*.tmp', '*.bak'])
  const refused: readonly (readonly [string, RegExp])[] = [
    ['nosymfollow', /-o nosymfollow: no such mount option/],
    ['uid', /-o uid: needs a value: -o uid=N/],
    ['ro=1', /-o ro: takes no value/],
    ['conflict=maybe', /-o conflict: "maybe" is none of keep, overwrite/],
    ['special=a/b', /-o special: "a\/b" cannot begin a file name/],
    ['umask=999', /-o umask: "999" is not a mask in octal/],
    ['uid=-1', /-o uid: "-1" is not a whole number/],
  ]
  for (const [list, message] of refused) {
    t.throws(() => parse(`a/s d -o ${list}`), { name: 'UsageError', message }, list)
  }
  t.end()
})

void t.test('AGENT/ is all sessions of the agent, of which -o status chooses', (t) => {
  const { options } = parse('triage/ d -o status=active,ro')
  t.match(options, { agent: 'triage', directory: '/work/d', sessionStatus: 'active', readOnly: true })
  t.equal(options.session, undefined)
  t.equal(options.subdirectory, undefined)
  t.equal(parse('a/s:x/ d').options.subdirectory, 'x')
  t.notOk('sessionStatus' in parse('a/s d').options)
  const refused: readonly (readonly [string, RegExp])[] = [
    ['triage/ d -o subdir=x', /-o subdir=x a directory of one: give triage\/SESSION, or leave out -o subdir/],
    ['a/s d -o status=active', /-o status=active chooses among all sessions of an agent: give a\/, or leave/],
    ['triage d', /"triage" is not of the form AGENT\/SESSION/],
    ...['triage// d', '/ d', '/s d', 'a:b/ d', 'triage/:x d'].map(
      (line) => [line, /not of the form/] as const,
    ),
  ]
  for (const [line, message] of refused) t.throws(() => parse(line), { name: 'UsageError', message }, line)
  t.end()
})

void t.test('a token must not go over plain http to another machine', (t) => {
  t.throws(() => parse('a/s d --endpoint http://far.example'), {
    name: 'SessionError',
    code: 'insecureEndpoint',
  })
  t.equal(parse('a/s d --endpoint http://127.0.0.1:8080/p').options.endpoint, 'http://127.0.0.1:8080/p')
  t.equal(parse('a/s d --endpoint http://localhost').options.endpoint, 'http://localhost')
  t.end()
})

void t.test('data goes where XDG says, relative paths ignored', (t) => {
  t.same(dataDirectories({ XDG_STATE_HOME: '/s', XDG_CACHE_HOME: '/c' }), {
    stateRoot: '/s/mount-session',
    cacheRoot: '/c/mount-session',
  })
  t.match(dataDirectories({ XDG_STATE_HOME: 'relative' }).stateRoot, /\/\.local\/state\/mount-session$/)
  t.end()
})

void t.test('no two rows of the table answer to one name, and every default can be read', (t) => {
  const names = optionRows.flatMap(([, row]) =>
    [row.flag, row.mountOption, row.short].filter((name) => name !== undefined),
  )
  t.equal(new Set(names).size, names.length)
  for (const [name, row] of optionRows) {
    if (row.default !== undefined) {
      t.not(row.parse(row.default), undefined, name)
    }
  }
  t.end()
})

void t.test('the isolation key comes from the environment, where nobody else sees it; a flag wins', (t) => {
  const env = { MOUNT_SESSION_ISOLATION_KEY: 'from-env', FOUNDRY_PROJECT_ENDPOINT: 'https://a.example/p' }
  t.equal(parseMountCommand(['a/s', 'd'], env, '/').options.isolationKey, 'from-env')
  t.equal(parseMountCommand(['a/s', 'd', '--isolation-key', 'k'], env, '/').options.isolationKey, 'k')
  t.end()
})
