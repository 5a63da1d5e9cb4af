/**
 * The client through a proxy: what the proxy is told, and what its failures become.
 */
import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import type { SessionClientOptions } from '../../src/client/client-options.ts'
import { SessionClient } from '../../src/client/session-client.ts'
import { agent, session, startTestEmulator, type TestEmulator } from '../emulator-server.ts'
import { type Company, ConnectProxy, makeCompany, type ProxyOptions } from './company.ts'

interface Scene {
  readonly company: Company
  readonly emulator: TestEmulator
  readonly proxy: ConnectProxy
  /** As the service is called by those outside. */
  readonly endpoint: string
  readonly client: (more?: Partial<SessionClientOptions>) => SessionClient
}

async function scene(t: Test, options: ProxyOptions & { readonly isSecure?: boolean } = {}): Promise<Scene> {
  const data = t.testdir({ data: {} })
  const company = makeCompany(`${data}/company`, `${data}/data`)
  const emulator = await startTestEmulator(t, { tls: true, data: `${data}/data` })
  const { isSecure = false, ...rest } = options
  const proxy = await ConnectProxy.start(t, isSecure ? { ...rest, tls: company } : rest)
  const endpoint = emulator.endpoint.replace(/\/\/[^:/]+/, '//service.test')
  const client: Scene['client'] = (more) => {
    const made = new SessionClient({
      endpoint,
      credential: { token: emulator.token },
      proxy: { url: proxy.url(), name: 'HTTPS_PROXY' },
      ca: company.root,
      retry: { attempts: 1 },
      ...more,
    })
    t.teardown(() => made.close())
    return made
  }
  return { company, emulator, proxy, endpoint, client }
}

const get = (client: SessionClient): Promise<unknown> => client.getSession(agent, session)

for (const isSecure of [false, true]) {
  void t.test(
    `calls go through a proxy over ${isSecure ? 'https' : 'http'}, which is told the host alone`,
    async (t) => {
      const { emulator, proxy, endpoint, client } = await scene(t, { isSecure, credentials: 'me:p@ss w%rd' })
      const url = proxy.url('me:p%40ss%20w%25rd')
      const through = client({ proxy: { url } })
      t.match(await get(through), { sessionId: session })
      const content = Buffer.alloc(300_000, 'x')
      await through.uploadSessionFile(agent, session, 'f', content)
      t.same(await (await through.downloadSessionFile(agent, session, 'f')).bytes(), content)
      t.equal(through.proxy, `localhost:${proxy.port} (the option proxy)`)
      const authorization = `Basic ${Buffer.from('me:p@ss w%rd').toString('base64')}`
      const target = new URL(endpoint).host
      for (const asked of proxy.asked)
        t.same(asked, {
          method: 'CONNECT',
          target,
          headers: { host: target, 'user-agent': 'mount-session', 'proxy-authorization': authorization },
        })
      t.ok(proxy.asked.length > 0)
      t.notMatch(JSON.stringify(proxy.asked), new RegExp(emulator.token))
    },
  )
}

void t.test('without credentials none are sent', async (t) => {
  const { proxy, client } = await scene(t)
  await get(client())
  t.strictSame(Object.keys(proxy.asked[0]?.headers ?? {}).toSorted(), ['host', 'user-agent'])
})

void t.test('a host of NO_PROXY, and this machine, are reached without the proxy', async (t) => {
  const { emulator, proxy, company, client } = await scene(t)
  await get(client({ endpoint: emulator.endpoint, ca: company.root }))
  const bypassed = client({ proxy: { url: proxy.url(), noProxy: '.test' } })
  await t.rejects(get(bypassed), { code: 'network', message: /ENOTFOUND|EAI_AGAIN/ }, 'nobody knows the name')
  t.equal(bypassed.proxy, undefined)
  t.strictSame(proxy.asked, [])
})

const say =
  (text: string) =>
  (socket: Socket): void =>
    void socket.end(text)
const page = '<!doctype html><title>Sign in</title>'
const html = `content-type: text/html\r\ncontent-length: ${page.length}\r\n\r\n${page}`
const failures: readonly (readonly [
  string,
  ConnectProxy['answer'],
  { readonly code: string; readonly message: RegExp },
])[] = [
  [
    '407 for other ways to sign in than Basic',
    say('HTTP/1.1 407 No\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\n\r\n'),
    {
      code: 'proxy_refused',
      message: /\(HTTPS_PROXY\) wants to be signed in to by negotiate or ntlm .*cntlm/,
    },
  ],
  [
    '401, as tinyproxy does where it means 407',
    say('HTTP/1.1 401 Unauthorized\r\nProxy-Authenticate: Basic realm="x"\r\n\r\n'),
    { code: 'proxy_refused', message: /wants credentials \(401\): give them in HTTPS_PROXY=/ },
  ],
  [
    '403',
    say('HTTP/1.1 403 Forbidden\r\n\r\n'),
    {
      code: 'proxy_refused',
      message:
        /localhost:\d+ \(HTTPS_PROXY\) does not let anybody through to service\.test:\d+ \(403\).*NO_PROXY/,
    },
  ],
  [
    '502',
    say('HTTP/1.1 502 Bad Gateway\r\n\r\n'),
    { code: 'network', message: /did not get through to service\.test:\d+ \(502\)/ },
  ],
  [
    'a login page with its status',
    say(`HTTP/1.1 511 Network Authentication Required\r\n${html}`),
    { code: 'proxy_refused', message: /a page of its own \(511\).*browser.*NO_PROXY/ },
  ],
  [
    'a login page that is elsewhere',
    say('HTTP/1.1 302 Found\r\nlocation: http://portal/\r\n\r\n'),
    { code: 'proxy_refused', message: /a page of its own \(302\)/ },
  ],
  [
    'a login page as if the way were open',
    say(`HTTP/1.1 200 OK\r\n${html}`),
    { code: 'proxy_refused', message: /a page of its own \(200\)/ },
  ],
  [
    'a page as if the way were open, and no word of it before',
    (socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      socket.once('data', () => socket.end(page))
    },
    { code: 'proxy_refused', message: /a page of its own \(200\)/ },
  ],
  ['no HTTP', say('220 mail.test ESMTP\r\n'), { code: 'proxy_refused', message: /does not speak HTTP/ }],
  [
    'nothing, and closes',
    (socket) => void socket.destroy(),
    { code: 'network', message: /\(HTTPS_PROXY\) ended the connection \(ECONNRESET\)/ },
  ],
  [
    'half an answer, and closes',
    say('HTTP/1.1 200'),
    { code: 'network', message: /\(HTTPS_PROXY\) ended the connection/ },
  ],
  [
    '200, and closes during the handshake',
    (socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      socket.once('data', () => socket.destroy())
    },
    { code: 'network', message: /\(HTTPS_PROXY\) ended the connection/ },
  ],
]

for (const [what, answer, expected] of failures) {
  for (const isSecure of [false, true]) {
    void t.test(`a proxy over ${isSecure ? 'https' : 'http'} that answers ${what}`, async (t) => {
      const { proxy, client } = await scene(t, { isSecure })
      proxy.answer = answer
      const through = client()
      await t.rejects(get(through), { ...expected, ambiguous: false })
      const put = through.uploadSessionFile(agent, session, 'f', Buffer.from('x'))
      await t.rejects(put, { ...expected, ambiguous: false }, 'a change is not in doubt')
      proxy.answer = undefined
      t.match(await get(through), { sessionId: session }, 'and goes on once it lets through')
    })
  }
}

void t.test('407 says how credentials are given, and never the password', async (t) => {
  const { proxy, client } = await scene(t, { credentials: 'me:right' })
  await t.rejects(get(client()), {
    code: 'proxy_refused',
    retryable: false,
    concerns: 'session',
    message: /wants credentials \(407\): give them in HTTPS_PROXY=http:\/\/USER:PASSWORD@localhost:\d+/,
  })
  const url = proxy.url('me:sesame')
  const failed = await get(client({ proxy: { url, name: 'HTTPS_PROXY' } })).then(() => undefined, String)
  t.match(failed, /does not take the credentials of me \(407\): correct them in HTTPS_PROXY=/)
  t.notMatch(failed, /sesame/)
})

void t.test('a proxy that is down is named, with the way round it', async (t) => {
  const { proxy, client } = await scene(t)
  await proxy.goDown()
  const expected = {
    code: 'network',
    message: /proxy localhost:\d+ \(HTTPS_PROXY\) cannot be reached \(ECONNREFUSED\).*NO_PROXY/,
  }
  await t.rejects(get(client()), expected)
  const nowhere = { proxy: { url: 'http://nowhere.invalid:3128', name: 'HTTPS_PROXY' } }
  await t.rejects(get(client(nowhere)), {
    code: 'network',
    message: /nowhere\.invalid:3128 \(HTTPS_PROXY\) cannot be reached \((ENOTFOUND|EAI_AGAIN)\)/,
  })
})

void t.test('a proxy that says nothing is given up in time, and named', async (t) => {
  const { proxy, client } = await scene(t)
  proxy.answer = () => undefined
  await t.rejects(get(client({ timeouts: { connectMs: 200 } })), {
    code: 'timeout',
    message: /\(HTTPS_PROXY\) has not opened the way within 160 ms/,
  })
})

void t.test('the certificate of a proxy over https is looked at', async (t) => {
  const { client } = await scene(t, { isSecure: true })
  await t.rejects(get(client({ ca: undefined })), {
    code: 'protocol',
    message: /certificate of the proxy localhost:\d+ \(HTTPS_PROXY\) is not trusted .*--ca-file/,
  })
})

void t.test('a proxy that closes in the middle of a transfer is a failure of the network', async (t) => {
  const { emulator, proxy, client } = await scene(t)
  const hold = emulator.hold({ verb: 'download' })
  const through = client()
  await through.uploadSessionFile(agent, session, 'f', Buffer.from('x'))
  const failed = t.rejects(through.downloadSessionFile(agent, session, 'f'), { code: 'network' })
  await hold.reached
  proxy.cut()
  await failed
})
