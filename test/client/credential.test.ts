import t from 'tap'
import { type AccessToken, TokenSource, tokenScope } from '../../src/client/credential.ts'
import { ServiceError } from '../../src/client/errors.ts'
import { FakeClock } from '../fake-clock.ts'

const minute = 60_000

/** A credential whose answers the test gives, one by one. */
class ScriptedCredential {
  readonly scopes: string[] = []
  readonly #pending: { resolve: (token: AccessToken | null) => void; reject: (error: Error) => void }[] = []

  getToken(scope: string): Promise<AccessToken | null> {
    this.scopes.push(scope)
    return new Promise((resolve, reject) => this.#pending.push({ resolve, reject }))
  }

  answer(token: string, expiresOnTimestamp: number): void {
    this.#pending.shift()!.resolve({ token, expiresOnTimestamp })
  }

  refuse(error: Error): void {
    this.#pending.shift()!.reject(error)
  }

  none(): void {
    this.#pending.shift()!.resolve(null)
  }
}

function setUp() {
  const clock = new FakeClock()
  const credential = new ScriptedCredential()
  return { clock, credential, tokens: new TokenSource(credential, clock) }
}

void t.test('a fixed token is given as it is, also after it was refused', async (t) => {
  const tokens = new TokenSource({ token: 'fixed' }, new FakeClock())
  t.equal(await tokens.get(), 'fixed')
  t.equal(await tokens.get({ rejected: 'fixed' }), 'fixed')
})

void t.test('a function is asked once, and again after its token was refused', async (t) => {
  let asked = 0
  const tokens = new TokenSource(() => `token-${++asked}`, new FakeClock())
  t.equal(await tokens.get(), 'token-1')
  t.equal(await tokens.get(), 'token-1')
  t.equal(await tokens.get({ rejected: 'token-1' }), 'token-2')
  t.equal(await tokens.get({ rejected: 'token-1' }), 'token-2', 'somebody else has refreshed it already')
  t.equal(asked, 2)
})

void t.test('callers share one request, with the scope of the service', async (t) => {
  const { clock, credential, tokens } = setUp()
  const callers = [tokens.get(), tokens.get(), tokens.get()]
  t.strictSame(credential.scopes, [tokenScope])
  credential.answer('one', clock.wallMs() + 60 * minute)
  t.strictSame(await Promise.all(callers), ['one', 'one', 'one'])
  t.equal(await tokens.get(), 'one')
  t.equal(credential.scopes.length, 1)
})

void t.test('a token is renewed in the background before it expires, and used meanwhile', async (t) => {
  const { clock, credential, tokens } = setUp()
  const first = tokens.get()
  credential.answer('old', clock.wallMs() + 60 * minute)
  await first
  clock.advance(55 * minute - 1)
  t.equal(await tokens.get(), 'old')
  t.equal(credential.scopes.length, 1)
  clock.advance(2)
  t.strictSame(await Promise.all([tokens.get(), tokens.get()]), ['old', 'old'])
  t.equal(credential.scopes.length, 2)
  credential.answer('new', clock.wallMs() + 60 * minute)
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(await tokens.get(), 'new')
  t.equal(credential.scopes.length, 2)
})

void t.test(
  'a renewal that fails is no harm while the token is good, and is not tried at every call',
  async (t) => {
    const { clock, credential, tokens } = setUp()
    const first = tokens.get()
    credential.answer('old', clock.wallMs() + 4 * minute)
    await first
    t.equal(await tokens.get(), 'old')
    credential.refuse(new Error('no network'))
    await new Promise((resolve) => setImmediate(resolve))
    t.equal(await tokens.get(), 'old')
    t.equal(credential.scopes.length, 2)
    clock.advance(30_000)
    t.equal(await tokens.get(), 'old')
    t.equal(credential.scopes.length, 3)
    credential.refuse(new Error('no network'))
    await new Promise((resolve) => setImmediate(resolve))
    clock.advance(4 * minute)
    const expired = tokens.get()
    credential.refuse(new Error('no network'))
    await t.rejects(expired, { code: 'credential' })
  },
)

void t.test('no token to be had is an error of its own, with its cause and without a token', async (t) => {
  const { credential, tokens } = setUp()
  const cause = new Error('not logged in')
  const refused = tokens.get()
  credential.refuse(cause)
  const error = await refused.catch((reason: unknown) => reason)
  t.ok(error instanceof ServiceError)
  t.match(error, { code: 'credential', retryable: false, cause })
  const none = tokens.get()
  credential.none()
  await t.rejects(none, { code: 'credential' })
})

void t.test('a credential that never answers is given up', async (t) => {
  const { clock, tokens } = setUp()
  const waiting = tokens.get()
  clock.advance(minute)
  await t.rejects(waiting, { code: 'credential' })
})

void t.test('one caller gives up, the others get their token', async (t) => {
  const { clock, credential, tokens } = setUp()
  const abort = new AbortController()
  const impatient = tokens.get({ signal: abort.signal })
  const patient = tokens.get()
  const reason = new Error('enough')
  abort.abort(reason)
  t.equal(await impatient.catch((error: unknown) => error), reason)
  credential.answer('one', clock.wallMs() + 60 * minute)
  t.equal(await patient, 'one')
})
