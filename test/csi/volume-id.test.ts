import fc from 'fast-check'
import t from 'tap'
import { isOfName, parseVolumeId, sessionId, sessionPrefix, volumeId } from '../../src/csi/volume-id.ts'

const characters = (from: string): fc.Arbitrary<string> => fc.constantFrom(...Array.from(from))
const letters = 'abcdefghijklmnopqrstuvwxyz'
const text = (from: string, maxLength: number): fc.Arbitrary<string> =>
  fc.string({ unit: characters(from), minLength: 1, maxLength })

const usual = fc
  .tuple(text(`${letters}0123456789-`, 30), text(`${letters}0123456789-_.`, 30))
  .map(([account, project]) => `https://${account}.services.ai.azure.com/api/projects/${project}`)
const other = fc
  .tuple(fc.constantFrom('https://', 'http://'), text(`${letters}.:-`, 15), text(`${letters}/%~!`, 15))
  .map(([scheme, host, path]) => `${scheme}${host}/${path}`)
const endpoint = fc.oneof(usual, other)
const agent = text(`${letters}ABC0123456789-`, 30)
const session = fc.string({ unit: characters(`${letters}ABC0123456789-_`), minLength: 8, maxLength: 128 })
const name = fc.oneof(
  fc.string({ minLength: 1, maxLength: 200 }),
  fc.uuid().map((uuid) => `pvc-${uuid}`),
)

const project = 'https://account.services.ai.azure.com/api/projects/project'

void t.test('an id says endpoint, agent, session and whether the session goes with the volume', (t) => {
  const identity = { endpoint: project, agent: 'agent', session: 'pvc-1-0123abcd', isDeleted: false }
  t.equal(volumeId(identity), 'account/project/agent/pvc-1-0123abcd')
  t.equal(volumeId({ ...identity, isDeleted: true }), 'account/project/agent/pvc-1-0123abcd/delete')
  t.equal(
    volumeId({ ...identity, endpoint: 'http://127.0.0.1:8080/api/projects/p' }),
    'http%3A%2F%2F127.0.0.1%3A8080%2Fapi%2Fprojects%2Fp/agent/pvc-1-0123abcd',
  )
  t.end()
})

void t.test('what is read from an id is what it was made of, whatever that was', (t) => {
  fc.assert(
    fc.property(endpoint, agent, session, fc.boolean(), (endpoint, agent, session, isDeleted) => {
      const identity = { endpoint, agent, session, isDeleted }
      t.strictSame(parseVolumeId(volumeId(identity)), identity)
    }),
  )
  t.end()
})

void t.test('an id of somebody else is none of ours', (t) => {
  const ids = [
    '',
    '/',
    'fake-vol-id',
    'fake-vol-id/delete',
    'account/project/agent',
    'account/project/agent/short',
    'account/project/agent/session 0001',
    'account/project/a/b/session-0001',
    'account/project//session-0001',
    'acc.ount/project/agent/session-0001',
    'account/project/agent/session-0001/',
    'account/project/agent/session-0001/delete/delete',
    'account/project/agent/session-0001/keep',
    `${encodeURIComponent(project)}/agent/session-0001`,
    'http://host/agent/session-0001',
    '%/agent/session-0001',
    'account/project/%2/session-0001',
  ]
  for (const id of ids) t.equal(parseVolumeId(id), undefined, id)
  fc.assert(
    fc.property(fc.string(), (id) => {
      const identity = parseVolumeId(id)
      if (identity !== undefined) t.equal(volumeId(identity), id)
    }),
  )
  t.end()
})

void t.test('a session is called like its volume, as far as its characters and its length go', (t) => {
  const place = { endpoint: project, agent: 'agent' }
  t.match(sessionId(sessionPrefix('pvc-1', place), {}), /^pvc-1-[0-9a-f]{8}$/)
  t.match(sessionPrefix('data of/eva', place), /^data-of-eva-[0-9a-f]{12}$/)
  t.match(sessionPrefix('x'.repeat(128), place), /^x{20,}-[0-9a-f]{12}$/)
  t.equal(sessionPrefix('x'.repeat(128), place).length, 128 - 'account/project/agent/-12345678/delete'.length)
  t.end()
})

void t.test('ids have their form and their length, whatever a volume is called', (t) => {
  fc.assert(
    fc.property(
      name,
      endpoint,
      agent,
      fc.object(),
      fc.boolean(),
      (name, endpoint, agent, wanted, isDeleted) => {
        const prefix = sessionPrefix(name, { endpoint, agent })
        const session = sessionId(prefix, wanted)
        t.match(session, /^[A-Za-z0-9_-]{8,128}$/)
        const id = volumeId({ endpoint, agent, session, isDeleted })
        t.ok(Buffer.byteLength(id) <= 128, id)
        t.ok(isOfName(session, prefix))
        t.equal(sessionPrefix(name, { endpoint, agent }), prefix)
      },
    ),
  )
  t.end()
})

void t.test('two names are two sessions, also where they differ in what a session cannot be called', (t) => {
  const place = { endpoint: project, agent: 'agent' }
  const awkward = fc.string({ unit: characters('a.-_ /ä'), minLength: 1, maxLength: 5 })
  fc.assert(
    fc.property(fc.oneof(awkward, name), fc.oneof(awkward, name), (one, another) => {
      if (one === another) return
      const [first, second] = [sessionPrefix(one, place), sessionPrefix(another, place)]
      t.not(first, second)
      t.notOk(isOfName(sessionId(first, {}), second))
    }),
  )
  t.end()
})

void t.test('what was asked for is in the id, in whatever order it came', (t) => {
  const one = sessionId('name', { capacityRange: null, parameters: { a: '1', b: '2' } })
  t.equal(sessionId('name', { parameters: { b: '2', a: '1' }, capacityRange: null }), one)
  t.not(sessionId('name', { capacityRange: null, parameters: { a: '1', b: '3' } }), one)
  t.not(sessionId('name', { capacityRange: { requiredBytes: 1 }, parameters: { a: '1', b: '2' } }), one)
  t.end()
})

void t.test('a session of a longer name is not one of a shorter name', (t) => {
  const longer = sessionId('name-0123abcd', {})
  t.notOk(isOfName(longer, 'name'))
  t.ok(isOfName(longer, 'name-0123abcd'))
  t.notOk(isOfName('name-01234567-x', 'name'))
  t.end()
})

void t.test('an endpoint that leaves no room for a session is refused, with the remedy', (t) => {
  const long = `https://${'x'.repeat(60)}.example.com/api/projects/${'p'.repeat(20)}`
  t.throws(() => sessionPrefix('name', { endpoint: long, agent: 'agent' }), {
    code: 'invalidArgument',
    message: /needs a shorter endpoint .* or agent$/,
  })
  t.end()
})
