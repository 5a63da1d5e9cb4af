import t, { type Test } from 'tap'
import { agent, files, session, startTestEmulator } from '../emulator-server.ts'
import { call } from './service-call.ts'

async function setup(t: Test) {
  const emulator = await startTestEmulator(t)
  const admin = async (method: string, path: string, body?: object) => {
    const response = await fetch(new URL(`/__emulator/${path}`, emulator.endpoint), {
      method,
      headers: {
        authorization: `Bearer ${emulator.token}`,
        ...(body ? { 'content-type': 'application/json' } : {}),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
    const text = await response.text()
    return { status: response.status, json: text === '' ? undefined : (JSON.parse(text) as unknown) }
  }
  return { emulator, admin }
}

void t.test('counts and calls are seen from another process, and none of them counts', async (t) => {
  const { emulator, admin } = await setup(t)
  await call(emulator, 'GET', '/files')
  t.match(await admin('GET', 'counts'), { json: { verbs: { list: 1, upload: 0 }, statuses: { 200: 1 } } })
  t.match(await admin('GET', 'calls'), { json: [{ verb: 'list', path: '', status: 200 }] })
  t.equal((await admin('DELETE', 'counts')).status, 204)
  t.match(await admin('GET', 'counts'), { json: { verbs: { list: 0 }, statuses: {} } })
})

void t.test('faults are scripted, watched and removed', async (t) => {
  const { emulator, admin } = await setup(t)
  const rule = { kind: 'status', verb: 'download', pattern: '^a', status: 503 }
  const { status, json } = await admin('POST', 'faults', rule)
  t.equal(status, 201)
  const { id } = json as { id: string }
  t.equal((await call(emulator, 'GET', '/files/content?path=abc')).status, 503)
  t.equal((await call(emulator, 'GET', '/files/content?path=xyz')).status, 404)
  t.match(await admin('GET', `faults/${id}`), { json: { met: 1 } })
  t.equal((await admin('DELETE', `faults/${id}`)).status, 204)
  t.equal((await call(emulator, 'GET', '/files/content?path=abc')).status, 404)
  t.equal((await admin('GET', `faults/${id}`)).status, 404)
  for (const bad of [{}, { kind: 'status' }, { kind: 'cut' }, { kind: 'nonsense' }, { ...rule, extra: 1 }]) {
    t.equal((await admin('POST', 'faults', bad)).status, 400)
  }
})

void t.test('a hold is released by its removal', async (t) => {
  const { emulator, admin } = await setup(t)
  const { json } = await admin('POST', 'faults', { kind: 'hold', verb: 'upload' })
  const { id } = json as { id: string }
  const answer = call(emulator, 'PUT', '/files/content?path=f', { body: 'x' })
  for (;;) {
    const { json: live } = await admin('GET', `faults/${id}`)
    if ((live as { met: number }).met === 1) break
  }
  t.same(files(emulator), {})
  await admin('DELETE', `faults/${id}`)
  t.equal((await answer).status, 201)
})

void t.test('console, sessions and token are changed', async (t) => {
  const { emulator, admin } = await setup(t)
  const target = `${emulator.endpoint}/agents/${agent}/sessions/${session}:logstream?follow=false`
  t.equal((await admin('POST', 'log', { agent, session, lines: ['spoken'] })).status, 204)
  t.match((await call(emulator, 'GET', target)).text, 'spoken')
  t.equal((await admin('POST', 'log', { agent, session: 'nowhere-0', lines: [] })).status, 404)
  t.equal((await admin('POST', 'log-streams/close', { reset: true })).status, 204)

  await admin('POST', 'sessions/sleep', { agent, session })
  t.match((await call(emulator, 'GET', '')).json, { status: 'idle' })
  await admin('POST', 'sessions/expire', { agent, session })
  t.match((await call(emulator, 'GET', '')).json, { status: 'expired' })
  await admin('POST', 'sessions/delete', { agent, session })
  t.equal((await call(emulator, 'GET', '')).status, 404)
  t.equal((await admin('POST', 'sessions/bless', { agent, session })).status, 404)

  await admin('PUT', 'token', { token: null })
  t.equal((await call(emulator, 'GET', '')).status, 401)
  await admin('PUT', 'token', { token: emulator.token })
  t.equal((await call(emulator, 'GET', '')).status, 404)
})

void t.test('nothing of it is open without the token', async (t) => {
  const { emulator } = await setup(t)
  t.equal((await fetch(new URL('/__emulator/counts', emulator.endpoint))).status, 401)
})
