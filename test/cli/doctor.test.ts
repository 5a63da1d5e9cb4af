/**
 * `doctor` on this machine and against services that are in one way or another not right; its verdicts from facts.
 */
import { createServer } from 'node:http'
import { once } from 'node:events'
import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { ServiceError } from '../../src/client/errors.ts'
import type { Finding } from '../../src/cli/doctor/finding.ts'
import {
  allowOtherVerdict,
  deviceVerdict,
  fusermountVerdict,
  kernelVerdict,
} from '../../src/cli/doctor/fuse-verdicts.ts'
import { directoryVerdict } from '../../src/cli/doctor/local-checks.ts'
import {
  certificateVerdict,
  claimsOf,
  clockVerdict,
  isolationVerdict,
  loginVerdict,
  roleVerdict,
  sessionVerdict,
} from '../../src/cli/doctor/service-verdicts.ts'
import { surroundingsOf } from '../../src/cli/doctor/surroundings.ts'
import { startTestEmulator } from '../emulator-server.ts'
import { mountSessionCommand } from './command.ts'

/** Levels and remedies by check. */
async function doctor(home: string, words: readonly string[], env: Readonly<Record<string, string>>) {
  const { code, stdout, stderr } = await mountSessionCommand(home, ['doctor', '--json', ...words], env)
  t.equal(stderr, '')
  const { checks } = JSON.parse(stdout) as { readonly checks: readonly Finding[] }
  return { code, checks: Object.fromEntries(checks.map((check) => [check.check, check])), all: checks }
}

void t.test('all is well: each check says so, in its order', async (t) => {
  const emulator = await startTestEmulator(t, { tls: true })
  const env = {
    FOUNDRY_PROJECT_ENDPOINT: emulator.endpoint,
    MOUNT_SESSION_TOKEN: emulator.token,
    NODE_EXTRA_CA_CERTS: emulator.certificatePath ?? '',
  }
  const home = t.testdir({})
  const { code, all } = await doctor(home, [emulator.target], env)
  t.strictSame(
    all.filter(({ level }) => level !== 'ok').map(({ check }) => check),
    [],
  )
  t.equal(code, 0)
  const shown = await mountSessionCommand(home, ['doctor', emulator.target], env)
  t.match(shown, {
    code: 0,
    stdout:
      /\nok +device +\/dev\/fuse can be opened\n[^]*\nok +session +demo-agent\/demo-session-0001 is active/,
  })
  t.notOk(shown.stdout.includes(emulator.token), 'no token is shown')
})

void t.test('what is wrong is a failure with its remedy, and the exit code is 1', async (t) => {
  const emulator = await startTestEmulator(t, { tls: true })
  const home = t.testdir({})
  const service = { FOUNDRY_PROJECT_ENDPOINT: emulator.endpoint, MOUNT_SESSION_TOKEN: emulator.token }
  const trusted = { ...service, NODE_EXTRA_CA_CERTS: emulator.certificatePath ?? '' }

  const untrusted = await doctor(home, [], service)
  t.match(untrusted, {
    code: 1,
    checks: {
      certificates: { level: 'failure', remedy: 'NODE_EXTRA_CA_CERTS' },
      reach: { level: 'failure' },
      session: { level: 'skipped' },
    },
  })
  const wrongToken = await doctor(home, [emulator.target], { ...trusted, MOUNT_SESSION_TOKEN: 'wrong' })
  t.match(wrongToken, {
    code: 1,
    checks: { reach: { level: 'ok' }, role: { level: 'failure', remedy: 'az login' } },
  })
  const unknown = await doctor(home, ['demo-agent/no-such-session'], trusted)
  t.match(unknown, {
    code: 1,
    checks: {
      session: { level: 'failure', remedy: 'session list demo-agent' },
      isolation: { level: 'failure', remedy: '--isolation-key' },
    },
  })
  const dead = await doctor(home, [], {
    ...service,
    FOUNDRY_PROJECT_ENDPOINT: 'https://127.0.0.1:9/api/projects/p',
  })
  t.match(dead, {
    code: 1,
    checks: { reach: { level: 'failure', message: /ECONNREFUSED/ }, clock: { level: 'skipped' } },
  })
  const misspelt = await doctor(home, [], {
    ...service,
    FOUNDRY_PROJECT_ENDPOINT: 'https://no-such-host.invalid/api/projects/p',
  })
  t.match(misspelt, { code: 1, checks: { dns: { level: 'failure' } } })
  const without = await doctor(home, [], {})
  t.match(without, {
    code: 0,
    checks: { endpoint: { level: 'warning' }, reach: { level: 'skipped' }, device: { level: 'ok' } },
  })
})

void t.test('what the user has got wrong is not called a mistake of the program', async (t) => {
  const emulator = await startTestEmulator(t, { tls: true })
  const home = t.testdir({ state: {} })
  chmodSync(join(home, 'state'), 0o777)
  const env = {
    FOUNDRY_PROJECT_ENDPOINT: emulator.endpoint,
    MOUNT_SESSION_TOKEN: emulator.token,
    NODE_EXTRA_CA_CERTS: emulator.certificatePath ?? '',
  }
  const all = await Promise.all([
    doctor(home, ['--ca-file', '/no/such/file.pem'], env),
    doctor(home, [], { ...env, HOME: 'relative' }),
    doctor(home, [], {
      ...env,
      HTTPS_PROXY: 'socks5://127.0.0.1:9',
      FOUNDRY_PROJECT_ENDPOINT: 'https://x.example/p',
    }),
    doctor(home, [], { ...env, ALL_PROXY: '127.0.0.1:9', FOUNDRY_PROJECT_ENDPOINT: 'https://x.example/p' }),
  ])
  const [file, relative, socks, bare] = all
  for (const { code, all: checks } of all) {
    t.equal(code, 1)
    for (const { remedy = '' } of checks) t.notMatch(remedy, /mistake of this program/)
  }
  t.match(file.checks, { reach: { level: 'failure', message: /no\/such\/file\.pem/ } })
  t.match(relative.checks, { state: { level: 'failure', message: /HOME is "relative"/ } })
  t.match(socks.checks, { proxy: { level: 'failure' }, login: { level: 'ok' } })
  t.match(bare.checks, { proxy: { level: 'failure', remedy: 'check ALL_PROXY' } })
  const directories = { ...env, XDG_STATE_HOME: join(home, 'state') }
  mkdirSync(join(home, 'state', 'mount-session'))
  chmodSync(join(home, 'state', 'mount-session'), 0o777)
  t.match((await doctor(home, [], directories)).checks, {
    state: { level: 'failure', message: /other users/ },
  })
})

void t.test('without a login the way to the service is looked at all the same', async (t) => {
  const emulator = await startTestEmulator(t)
  const { code, checks } = await doctor(t.testdir({}), [emulator.target], {
    FOUNDRY_PROJECT_ENDPOINT: emulator.endpoint,
    AZURE_TOKEN_CREDENTIALS: 'EnvironmentCredential',
  })
  t.equal(code, 1)
  t.match(checks, {
    login: { level: 'failure', remedy: 'az login' },
    reach: { level: 'ok' },
    clock: { level: 'ok' },
    role: { level: 'skipped' },
    session: { level: 'skipped' },
  })
})

void t.test('a proxy that refuses, and one that is not there', async (t) => {
  const proxy = createServer()
  proxy.on('connect', (_request, socket) =>
    socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n'),
  )
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => proxy.close())
  const { port } = proxy.address() as AddressInfo
  const service = {
    FOUNDRY_PROJECT_ENDPOINT: 'https://service.example/api/projects/p',
    MOUNT_SESSION_TOKEN: 'token',
  }
  const home = t.testdir({})
  const refused = await doctor(home, [], { ...service, HTTPS_PROXY: `http://127.0.0.1:${port}` })
  t.match(refused.checks, {
    dns: { level: 'skipped' },
    proxy: { level: 'ok' },
    reach: { level: 'failure', message: /wants credentials/ },
  })
  const gone = await doctor(home, [], { ...service, HTTPS_PROXY: 'http://127.0.0.1:9' })
  t.match(gone.checks, { proxy: { level: 'failure', remedy: 'NO_PROXY' }, reach: { level: 'failure' } })
})

void t.test('where one is decides what is to be done about /dev/fuse', (t) => {
  const at = (facts: { env?: Record<string, string>; version?: string; there?: string }) =>
    surroundingsOf({
      platform: 'linux',
      version: facts.version ?? 'Linux version 6.8',
      env: facts.env ?? {},
      isThere: (path) => path === facts.there,
    })
  const wsl = 'Linux version 5.15.153.1-microsoft-standard-WSL2'
  t.strictSame(
    [
      at({}),
      at({ version: wsl }),
      at({ version: 'Linux version 4.4.0-19041-Microsoft' }),
      at({ version: wsl, env: { REMOTE_CONTAINERS: 'true' } }),
      at({ env: { CODESPACES: 'true', REMOTE_CONTAINERS: 'true' } }),
      at({ env: { KUBERNETES_SERVICE_HOST: '10.0.0.1' } }),
      at({ there: '/.dockerenv' }),
      at({ there: '/run/.containerenv' }),
    ],
    ['linux', 'wsl2', 'wsl1', 'devcontainer', 'codespaces', 'kubernetes', 'container', 'container'],
  )
  t.match(deviceVerdict({ surroundings: 'devcontainer', code: 'ENOENT' }), {
    level: 'failure',
    remedy: 'devcontainer.json',
  })
  t.match(deviceVerdict({ surroundings: 'container', code: 'EPERM' }), {
    remedy: '--device /dev/fuse --cap-add SYS_ADMIN',
  })
  t.match(deviceVerdict({ surroundings: 'linux', code: 'ENOENT' }), { remedy: 'modprobe fuse' })
  t.match(deviceVerdict({ surroundings: 'linux', code: 'EACCES' }), { remedy: 'chmod 666' })
  t.match(allowOtherVerdict('', 'wsl2'), { level: 'ok', message: /Explorer/ })
  t.match(kernelVerdict('4.19.0'), { level: 'failure' })
  t.match(kernelVerdict('5.4.0-generic'), { level: 'ok' })
  const fine = {
    surroundings: 'linux',
    path: '/bin/fusermount3',
    isSetuid: true,
    isRoot: false,
    version: '3.14',
    noNewPrivileges: false,
    canMount: true,
  } as const
  t.match(fusermountVerdict(fine), { level: 'ok' })
  for (const [facts, remedy] of [
    [{ path: undefined }, 'apt-get install fuse3'],
    [{ isSetuid: false }, 'chmod u+s'],
    [{ noNewPrivileges: true }, 'no-new-privileges'],
    [{ canMount: false, surroundings: 'container' }, 'SYS_ADMIN'],
    [{ version: undefined }, 'install the package'],
  ] as const)
    t.match(fusermountVerdict({ ...fine, ...facts }), { level: 'failure', remedy })
  t.end()
})

const day = 86_400_000

void t.test('clocks, tokens, certificates, sessions, directories: where each begins to be wrong', (t) => {
  const now = 1_000_000_000_000
  t.match(clockVerdict(now, now + 50, now - (now % 1000)), { level: 'ok' })
  t.match(clockVerdict(now, now + 50, now - 10_000), { level: 'warning', message: /9 s ahead/ })
  t.match(clockVerdict(now, now + 50, now + 400_000), { level: 'failure', message: /behind/ })
  t.match(clockVerdict(now, now, NaN), { level: 'skipped' })

  const jwt = (claims: object): string => `x.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.y`
  const login = (claims: object) =>
    loginVerdict({ source: 'MOUNT_SESSION_TOKEN', token: jwt(claims), expiresMs: NaN, nowMs: now })
  t.match(login({ exp: now / 1000 + 3600, aud: 'https://ai.azure.com', upn: 'ann@example' }), {
    level: 'ok',
    message: /for ann@example, good for 60 min/,
  })
  t.match(login({ exp: now / 1000 - 1 }), { level: 'failure', message: /expired/ })
  t.match(login({ aud: 'https://management.azure.com' }), {
    level: 'failure',
    remedy: '--resource https://ai.azure.com',
  })
  t.strictSame([claimsOf('opaque'), claimsOf('a.b.c'), claimsOf('')], [{}, {}, {}])

  const certificate = {
    isTrusted: true,
    reason: undefined,
    issuer: 'CA',
    validUntilMs: now + 90 * day,
    nowMs: now,
    sources: [],
  }
  t.match(certificateVerdict(certificate), { level: 'ok' })
  t.match(certificateVerdict({ ...certificate, validUntilMs: now + day }), { level: 'warning' })
  t.match(certificateVerdict({ ...certificate, isTrusted: false, reason: 'SELF_SIGNED' }), {
    level: 'failure',
    remedy: '--ca-file',
  })

  t.match(roleVerdict('forbidden'), { level: 'failure', remedy: 'Foundry User' })
  const session = {
    sessionId: 's',
    agentVersion: '1',
    createdSeconds: 0,
    lastAccessedSeconds: 0,
    stoppedSeconds: undefined,
  }
  const until = (status: string, days: number) =>
    sessionVerdict('a/s', { ...session, status, expiresSeconds: (now + days * day) / 1000 }, now)
  t.match(until('active', 20), { level: 'ok' })
  t.match(until('idle', 0.5), { level: 'warning' })
  t.match(until('expired', -1), { level: 'failure', remedy: 'session create a' })
  t.match(isolationVerdict(new ServiceError('session_not_found', 'x'), true), {
    remedy: 'check --isolation-key',
  })

  const directory = {
    directory: '/d',
    why: undefined,
    freeBytes: 2 ** 40,
    isNetwork: false,
    variable: 'XDG_STATE_HOME',
    hasJournal: true,
  }
  t.match(directoryVerdict(directory), { level: 'ok' })
  t.match(directoryVerdict({ ...directory, isNetwork: true }), { level: 'warning', remedy: 'local disk' })
  t.match(directoryVerdict({ ...directory, isNetwork: true, hasJournal: false }), { level: 'ok' })
  t.match(directoryVerdict({ ...directory, freeBytes: 1000 }), { level: 'warning' })
  t.match(directoryVerdict({ ...directory, why: 'cannot be written to (EROFS)' }), {
    level: 'failure',
    remedy: 'XDG_STATE_HOME',
  })
  t.end()
})
