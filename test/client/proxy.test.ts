/**
 * Which proxy is on the way, by what the environment says.
 */
import t from 'tap'
import { proxyFor } from '../../src/client/proxy.ts'

const url = 'http://proxy.corp:3128'
const far = 'https://acct.services.ai.azure.com'

void t.test('NO_PROXY names hosts with all below them, addresses, ranges and ports', (t) => {
  const cases: readonly (readonly [noProxy: string, origin: string, isReachedWithout: boolean])[] = [
    ['', far, false],
    ['*', far, true],
    ['other.test, *', far, true],
    ['acct.services.ai.azure.com', far, true],
    ['ACCT.services.AI.azure.com', far, true],
    ['azure.com', far, true],
    ['.azure.com', far, true],
    ['*.azure.com', far, true],
    ['azure.com.', far, true],
    ['zure.com', far, false],
    ['ure.com,other.test', far, false],
    ['.azure.com', 'https://azure.com', true],
    ['com', far, true],
    ['services.ai', far, false],
    ['localhost,azure.com', far, true],
    ['localhost azure.com', far, true],
    [' , ,azure.com , ', far, true],
    ['azure.com:443', far, true],
    ['azure.com:8443', far, false],
    ['azure.com:8443', `${far}:8443`, true],
    ['azure.com', `${far}:8443`, true],
    ['10.0.0.1', 'https://10.0.0.1', true],
    ['10.0.0.1', 'https://10.0.0.10', false],
    ['10.0.0.1:443', 'https://10.0.0.1', true],
    ['10.0.0.1:444', 'https://10.0.0.1', false],
    ['10.0.0.0/8', 'https://10.20.30.40', true],
    ['10.0.0.0/8', 'https://11.20.30.40', false],
    ['10.0.0.0/33', 'https://10.20.30.40', false],
    ['10.0.0.0/8', 'https://10.example.com', false],
    ['2001:db8::1', 'https://[2001:db8::1]', true],
    ['[2001:db8::1]', 'https://[2001:db8::1]', true],
    ['[2001:db8::1]:443', 'https://[2001:db8::1]', true],
    ['[2001:db8::1]:444', 'https://[2001:db8::1]', false],
    ['2001:db8::/32', 'https://[2001:db8::5]', true],
    ['2001:db8::/32', 'https://[2001:db9::5]', false],
    ['0.0.0.0/0', 'https://[2001:db8::5]', false],
    ['.', far, false],
    ['://', far, false],
    ['a:b:c', far, false],
  ]
  for (const [noProxy, origin, isReachedWithout] of cases)
    t.equal(proxyFor({ url, noProxy }, origin) === undefined, isReachedWithout, `${noProxy} for ${origin}`)
  t.end()
})

void t.test('this machine is reached without a proxy', (t) => {
  for (const origin of ['http://localhost:1', 'https://localhost', 'https://127.0.0.1:2', 'https://[::1]:3'])
    t.equal(proxyFor({ url }, origin), undefined, origin)
  t.ok(proxyFor({ url }, 'https://localhost.example.com'))
  t.equal(proxyFor(undefined, far), undefined)
  t.end()
})

void t.test('a proxy is named by scheme, host, port and credentials', (t) => {
  const cases: readonly (readonly [url: string, expected: object])[] = [
    [
      url,
      {
        host: 'proxy.corp',
        port: 3128,
        isSecure: false,
        address: 'proxy.corp:3128',
        authorization: undefined,
      },
    ],
    ['proxy.corp:3128', { host: 'proxy.corp', port: 3128, isSecure: false }],
    ['http://proxy.corp', { port: 80 }],
    ['HTTP://proxy.corp/', { port: 80 }],
    ['https://proxy.corp', { port: 443, isSecure: true }],
    ['http://[2001:db8::1]:8080', { host: '2001:db8::1', address: '[2001:db8::1]:8080' }],
    [
      'http://me:p%40ss%3Aw%2F%C3%A9@proxy.corp:1',
      { user: 'me', authorization: `Basic ${Buffer.from('me:p@ss:w/é').toString('base64')}` },
    ],
    ['me:secret@proxy.corp:1', { user: 'me', host: 'proxy.corp', address: 'proxy.corp:1' }],
    [
      'http://me@proxy.corp:1',
      { user: 'me', authorization: `Basic ${Buffer.from('me:').toString('base64')}` },
    ],
  ]
  for (const [text, expected] of cases) t.match(proxyFor({ url: text }, far), expected, text)
  t.end()
})

void t.test('what is no proxy is refused, without its password in the message', (t) => {
  for (const text of [
    'http://me:ses#ame@proxy.corp:1',
    'http://',
    'socks5://me:sesame@proxy.corp:1080',
    'http://me:ses%ame@h:1',
  ]) {
    const make = (): unknown => proxyFor({ url: text, name: 'HTTPS_PROXY' }, far)
    t.throws(make, { code: 'bad_request', message: /^HTTPS_PROXY .*http:\/\/USER:PASSWORD@HOST:PORT/ }, text)
    try {
      make()
    } catch (error) {
      t.notMatch((error as Error).message, /ses|ame@/)
    }
    t.equal(proxyFor({ url: text, noProxy: '*' }, far), undefined, 'and not looked at where it is of no use')
  }
  t.end()
})
