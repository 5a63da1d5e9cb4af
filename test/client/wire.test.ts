import t from 'tap'
import {
  entryNames,
  isFileName,
  parseFilePage,
  parseRefusal,
  parseSession,
  parseSessionPage,
  parseUploadReply,
  toRemoteEntry,
  toSession,
} from '../../src/client/wire.ts'

void t.test('a session is read as recorded, with fields unknown and without those that are optional', (t) => {
  const recorded = {
    agent_session_id: 'abc',
    version_indicator: { type: 'version_ref', agent_version: '2' },
    status: 'active',
    created_at: 1_700_000_000,
    last_accessed_at: 1_700_000_001,
    expires_at: 1_702_592_000,
    something_new: { deep: true },
  }
  t.strictSame(parseSession(recorded, 'get'), recorded)
  t.strictSame(toSession(parseSession(recorded, 'get')), {
    sessionId: 'abc',
    agentVersion: '2',
    status: 'active',
    createdSeconds: 1_700_000_000,
    lastAccessedSeconds: 1_700_000_001,
    expiresSeconds: 1_702_592_000,
    stoppedSeconds: undefined,
  })
  t.match(parseSession({ agent_session_id: 'abc', status: 'brand_new_state' }, 'get'), {
    status: 'brand_new_state',
  })
  t.throws(() => parseSession({ status: 'active' }, 'get session a/b'), {
    code: 'protocol',
    message: /get session a\/b.*agent_session_id/,
  })
  t.throws(() => parseSession(undefined, 'get'), { code: 'protocol' })
  t.end()
})

void t.test('a page has entries; everything else of it may be absent', (t) => {
  const recorded = {
    path: 'sandbox',
    entries: [{ name: 'hello.txt', size: 32, is_directory: false, modified_time: 0 }],
    has_more: false,
  }
  t.strictSame(parseFilePage(recorded, 'list'), recorded)
  t.strictSame(parseFilePage({ entries: [] }, 'list'), { entries: [] })
  t.match(parseFilePage({ entries: [], has_more: null, last_id: null }, 'list'), { entries: [] })
  t.throws(() => parseFilePage({}, 'list'), { code: 'protocol' })
  t.throws(() => parseSessionPage({ data: [{}] }, 'list'), { code: 'protocol' })
  t.strictSame(parseUploadReply({}, 'upload'), {})
  t.end()
})

void t.test('an entry becomes one of ours, with what is absent filled in', (t) => {
  t.strictSame(toRemoteEntry({ name: 'f', size: 3, is_directory: false, modified_time: 17 }), {
    name: 'f',
    isDirectory: false,
    size: 3,
    modifiedSeconds: 17,
  })
  t.strictSame(toRemoteEntry({ name: 'f' }), { name: 'f', isDirectory: false, size: 0, modifiedSeconds: 0 })
  t.match(toRemoteEntry({ name: 'd', is_dir: true, size: 4096 }), { isDirectory: true })
  t.match(toRemoteEntry({ name: 'd', is_directory: true, is_dir: false }), { isDirectory: true })
  const seconds = (modified_time: number | string) =>
    toRemoteEntry({ name: 'f', modified_time })?.modifiedSeconds
  t.equal(seconds('1700000000'), 1_700_000_000)
  t.equal(seconds('2026-01-01T00:00:00Z'), Date.UTC(2026, 0, 1) / 1000)
  t.equal(seconds('whenever'), 0)
  t.equal(seconds(-5), 0)
  t.end()
})

void t.test('one malformed entry is none, and hides no other', (t) => {
  const good = { name: 'good', size: 3, is_directory: false }
  const none = [
    ...[-1, 1.5, '12', 2 ** 53, 1e300, true, [], {}].map((size) => ({ name: 'f', size })),
    ...[1, 0, 'true', {}].map((is_directory) => ({ name: 'f', size: 1, is_directory })),
    ...[{ size: 1 }, {}, null, 'f', 7, [], [good]],
  ]
  for (const entry of none) {
    t.equal(toRemoteEntry(entry), undefined, JSON.stringify(entry))
    const page = parseFilePage({ entries: [entry, good] }, 'list')
    t.strictSame(page.entries.map(toRemoteEntry).filter(Boolean).length, 1)
    t.strictSame(entryNames(page), [(entry as { name?: string } | null)?.name, 'good'])
  }
  for (const size of [-1, 1.5, '12', null])
    t.match(toRemoteEntry({ name: 'd', is_directory: true, size }), { isDirectory: true, size: 0 })
  const times = [1e300, Number.MAX_VALUE, -1, 1_700_000_000_000, '9'.repeat(400), true, {}, [], 'whenever']
  for (const modified_time of times)
    t.match(
      toRemoteEntry({ ...good, modified_time }),
      { size: 3, modifiedSeconds: 0 },
      JSON.stringify(modified_time),
    )
  t.end()
})

void t.test('a name that no directory can have is no entry', (t) => {
  const hostile = [
    '',
    '.',
    '..',
    'a/b',
    '/',
    'nul\0',
    'n'.repeat(256),
    '\u{1F600}'.repeat(64),
    '\ud800',
    7,
    null,
  ]
  for (const name of hostile) {
    t.equal(isFileName(name), false, JSON.stringify(name))
    t.equal(toRemoteEntry({ name }), undefined)
  }
  for (const name of ['...', '.x', 'n'.repeat(255), 'new\nline', ' ', 'back\\slash', '\u{1F600}'])
    t.equal(isFileName(name), true, JSON.stringify(name))
  t.end()
})

void t.test('a refusal is read if it is one', (t) => {
  t.strictSame(
    parseRefusal({ error: { code: 'session_not_found', message: 'm', additionalInfo: { request_id: 'r' } } }),
    {
      code: 'session_not_found',
      message: 'm',
      requestId: 'r',
    },
  )
  const nothing = { code: undefined, message: undefined, requestId: undefined }
  t.strictSame(parseRefusal({ error: { code: null, message: null } }), nothing)
  t.strictSame(parseRefusal('<html>bad gateway</html>'), nothing)
  t.strictSame(parseRefusal(undefined), nothing)
  t.end()
})
