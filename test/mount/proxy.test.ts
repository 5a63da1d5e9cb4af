/**
 * A mount behind a company's proxy and a company's certificates, by the command line in a process of its own.
 */
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startTestEmulator, type TestEmulator } from '../emulator-server.ts'
import { type Company, ConnectProxy, makeCompany } from '../client/company.ts'
import { eventually } from './programs.ts'
import { type Environment, mount, workplace } from './rig.ts'

interface Scene {
  readonly company: Company
  readonly emulator: TestEmulator
  /** As the service is called by those outside, whose names only the proxy can find. */
  readonly outside: TestEmulator
}

async function scene(t: Test): Promise<Scene> {
  const root = t.testdir({ data: {} })
  const company = makeCompany(join(root, 'company'), join(root, 'data'))
  const emulator = await startTestEmulator(t, { tls: true, data: join(root, 'data') })
  const endpoint = emulator.endpoint.replace(/\/\/[^:/]+/, '//service.test')
  return { company, emulator, outside: { ...emulator, endpoint } }
}

/* what was listed need not be asked for again while nobody can be asked */
const knownForLong = ['--ttl', '1h']

void t.test('a mount works through a proxy that goes away and comes back', async (t) => {
  const { company, emulator, outside } = await scene(t)
  const proxy = await ConnectProxy.start(t, { credentials: 'me:sesame' })
  const env = { HTTPS_PROXY: proxy.url('me:sesame'), SSL_CERT_FILE: company.rootFile }
  const mounted = await mount(t, outside, { env, args: knownForLong })
  await mounted.ok('echo one > one; mkdir d; echo two > d/two; ls -lR')
  await mounted.sync()
  t.equal(readFileSync(join(emulator.home, 'd', 'two'), 'utf8'), 'two\n')
  t.equal((await mounted.status()).proxy, `localhost:${proxy.port} (HTTPS_PROXY)`)
  const shown = await mounted.command(['status', mounted.directory])
  t.match(shown.stdout, `proxy     localhost:${proxy.port} (HTTPS_PROXY)`)
  await proxy.goDown()
  await mounted.ok('echo three > three; echo more >> one; rm d/two; cat one three')
  const refused = await mounted.command(['status', '--retry', mounted.directory])
  t.match(refused, { code: 0 })
  const isSaid = async (): Promise<boolean> =>
    (await mounted.status()).paths.some(({ error }) =>
      /proxy localhost:\d+ \(HTTPS_PROXY\) cannot be reached \(ECONNREFUSED\)/.test(error ?? ''),
    )
  t.ok(await eventually(isSaid), 'what waits says why')
  await proxy.comeUp()
  await mounted.sync()
  t.equal(readFileSync(join(emulator.home, 'three'), 'utf8'), 'three\n')
  t.equal(readFileSync(join(emulator.home, 'one'), 'utf8'), 'one\nmore\n')
  t.notOk((await mounted.ok('ls d')).includes('two'))
  t.ok(mounted.logged('info').some((line) => line.includes(`localhost:${proxy.port} (HTTPS_PROXY)`)))
  const log = readFileSync(join(mounted.root, 'daemon.log'), 'utf8')
  t.notMatch(`${log}${shown.stdout}${JSON.stringify(await mounted.status())}`, /sesame/)
  t.notMatch(JSON.stringify(proxy.asked), new RegExp(emulator.token), 'the token is no business of the proxy')
  t.ok(
    proxy.asked.every(({ method, headers }) => method === 'CONNECT' && headers.authorization === undefined),
  )
})

void t.test('a proxy that refuses pauses the uploads, and all goes on once it lets through', async (t) => {
  const { company, emulator, outside } = await scene(t)
  const proxy = await ConnectProxy.start(t)
  mkdirSync(join(emulator.home, 'never-seen'))
  const env = { https_proxy: proxy.url(), SSL_CERT_FILE: company.rootFile }
  const mounted = await mount(t, outside, { env, args: knownForLong })
  await mounted.ok('echo one > one; ls')
  await mounted.sync()
  proxy.answer = (socket) => void socket.end('HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm="c"\r\n\r\n')
  proxy.cut()
  await mounted.ok('echo two > two; cat two one')
  const isPaused = async (): Promise<boolean> => {
    const { service } = await mounted.status()
    return (
      service.state === 'paused' &&
      /wants credentials \(407\): give them in HTTPS_PROXY=/.test(service.reason)
    )
  }
  t.ok(await eventually(isPaused), 'status says what the proxy wants')
  t.match(await mounted.sh('ls never-seen'), { stderr: /Permission denied/ })
  const refused = await mounted.command(['sync', mounted.directory])
  t.match(refused, { code: 1, stderr: /wants credentials \(407\)/ })
  proxy.answer = undefined
  await mounted.sync()
  t.equal(readFileSync(join(emulator.home, 'two'), 'utf8'), 'two\n')
  t.equal((await mounted.status()).service.state, 'ready')
})

void t.test('a mount that cannot begin says what its proxy wants, in one line', async (t) => {
  const { company, outside } = await scene(t)
  const proxy = await ConnectProxy.start(t, { credentials: 'me:sesame' })
  const work = workplace(t)
  const directory = work.mountPoint()
  const fails = async (env: Environment, expected: RegExp): Promise<void> => {
    const { endpoint, token, target } = outside
    const all = { ...work.env, FOUNDRY_PROJECT_ENDPOINT: endpoint, MOUNT_SESSION_TOKEN: token }
    const ended = await work.command([target, directory], {
      env: { ...all, SSL_CERT_FILE: company.rootFile, ...env },
    })
    t.match(ended, { code: 1, stderr: expected })
    t.equal(ended.stderr.split('\n').length, 2, ended.stderr)
    t.notMatch(ended.stderr, /wrong-word/)
  }
  await fails({ HTTPS_PROXY: proxy.url() }, /wants credentials \(407\): give them in HTTPS_PROXY=/)
  await fails(
    { ALL_PROXY: proxy.url('me:wrong-word') },
    /credentials of me \(407\): correct them in ALL_PROXY=/,
  )
  await fails(
    { ALL_PROXY: 'socks5://me:wrong-word@localhost:1' },
    /ALL_PROXY names a proxy of the kind socks5:/,
  )
  await proxy.goDown()
  await fails(
    { HTTPS_PROXY: proxy.url() },
    /proxy localhost:\d+ \(HTTPS_PROXY\) cannot be reached \(ECONNREFUSED\)/,
  )
})

void t.test('a mount trusts a root of its company, wherever that is', async (t) => {
  const { company, emulator } = await scene(t)
  const store = join(t.testdirName, 'store')
  mkdirSync(store)
  copyFileSync(company.rootFile, join(store, 'any-name.crt'))
  const other = makeCompany(join(t.testdirName, 'other')).rootFile
  const ways: readonly (readonly [what: string, env: Environment, args?: readonly string[]])[] = [
    ['SSL_CERT_FILE', { SSL_CERT_FILE: company.rootFile }],
    ['SSL_CERT_DIR', { SSL_CERT_DIR: store }],
    ['NODE_EXTRA_CA_CERTS', { NODE_EXTRA_CA_CERTS: company.rootFile }],
    ['--ca-file', {}, ['--ca-file', company.rootFile]],
    [
      '--ca-file with another root, beside SSL_CERT_FILE',
      { SSL_CERT_FILE: company.rootFile },
      ['--ca-file', other],
    ],
  ]
  for (const [what, env, args] of ways) {
    const mounted = await mount(t, emulator, { env, args })
    await mounted.ok('echo ours > by-this-way')
    await mounted.sync()
    t.match(await mounted.command(['unmount', mounted.directory]), { code: 0 }, what)
  }
  const none = mount(t, emulator)
  await t.rejects(none, {
    message: /certificate is not trusted \(\w+\): give --ca-file .* or install it on this machine/,
  })
})

void t.test('a login goes through the proxy, and trusts the root of the company', async (t) => {
  const { company, emulator, outside } = await scene(t)
  const asked: string[] = []
  const login = createServer({ key: company.key, cert: company.cert }, (request, response) => {
    asked.push(`${request.method} ${request.url}`)
    const host = 'https://login.microsoftonline.com/tenant'
    const body = request.url?.includes('openid-configuration')
      ? {
          token_endpoint: `${host}/token`,
          authorization_endpoint: `${host}/authorize`,
          issuer: `${host}/v2.0`,
          jwks_uri: `${host}/keys`,
        }
      : request.url?.includes('discovery/instance')
        ? { tenant_discovery_endpoint: `${host}/v2.0/.well-known/openid-configuration`, metadata: [] }
        : { token_type: 'Bearer', expires_in: 3600, access_token: emulator.token }
    request.resume()
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body))
  }).listen(0, '127.0.0.1')
  await once(login, 'listening')
  t.teardown(() => {
    login.close()
    login.closeAllConnections()
  })
  const ports = { 'login.microsoftonline.com': (login.address() as AddressInfo).port }
  const proxy = await ConnectProxy.start(t, { ports, credentials: 'me:sesame' })
  const mounted = await mount(t, outside, {
    env: {
      HTTPS_PROXY: proxy.url('me:sesame'),
      SSL_CERT_FILE: company.rootFile,
      MOUNT_SESSION_TOKEN: undefined,
      AZURE_TENANT_ID: 'tenant',
      AZURE_CLIENT_ID: 'client',
      AZURE_CLIENT_SECRET: 'a-secret',
    },
  })
  t.match(await mounted.ok('ls -la'), /total/)
  t.ok(
    asked.some((line) => line.startsWith('POST ')),
    asked.join('\n'),
  )
  t.ok(proxy.asked.some(({ target }) => target === 'login.microsoftonline.com:443'))
})
