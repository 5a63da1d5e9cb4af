/** What the emulator believes about the log stream, byte by byte. */

import { agent, session, startTestEmulator } from '../emulator-server.ts'
import { overEachProtocol, protocolOf } from './each-protocol.ts'
import { rawRequest } from './raw-http.ts'

const base = `/api/projects/demo/agents/${agent}`
const plain = `${base}/sessions/${session}:logstream?api-version=v1`

overEachProtocol('both forms give the same stream of events, uncompressed', async (t) => {
  const emulator = await startTestEmulator(t, protocolOf(t))
  emulator.appendLog(agent, session, ['one', 'two'])
  const forms = [plain, `${base}/versions/3/sessions/${session}:logstream?api-version=v1`]
  for (const form of [...forms, plain.replace(':logstream', '%3Alogstream')]) {
    const answer = await rawRequest(emulator, 'GET', `${form}&follow=false`, { 'accept-encoding': 'gzip' })
    t.match(answer, { status: 200, headers: { 'content-type': 'text/event-stream' } })
    t.notOk('content-encoding' in answer!.headers)
    t.notOk('content-length' in answer!.headers)
    const frames = answer!.body.toString().split('\n\n')
    t.equal(frames.pop(), '', 'every frame ends with a blank line')
    t.equal(frames.length, 5)
    t.match(frames.at(-1), /^event: log\ndata: \{"timestamp":"[^"]+","stream":"stdout","message":"two"\}$/)
  }
  t.equal(emulator.counts().logStream, 3)
})

overEachProtocol('the tail is 1 to 300 lines', async (t) => {
  const emulator = await startTestEmulator(t, protocolOf(t))
  emulator.appendLog(
    agent,
    session,
    Array.from({ length: 400 }, (_, index) => `line ${index}`),
  )
  const lines = async (query: string): Promise<number> => {
    const answer = await rawRequest(emulator, 'GET', `${plain}&follow=false${query}`)
    return answer!.body.toString().match(/"line \d+"/g)?.length ?? 0
  }
  t.equal(await lines(''), 50)
  t.equal(await lines('&tail=300'), 300)
  t.equal(await lines('&tail=1'), 1)
  t.equal(await lines('&kind=system'), 0)
  for (const bad of ['tail=0', 'tail=301', 'tail=x', 'kind=other', 'follow=maybe']) {
    t.match(await rawRequest(emulator, 'GET', `${plain}&${bad}`), { status: 400 }, bad)
  }
})

overEachProtocol('watching neither wakes a session nor counts as its use', async (t) => {
  const emulator = await startTestEmulator(t, protocolOf(t))
  emulator.sleepSession(agent, session)
  const answer = await rawRequest(emulator, 'GET', plain)
  t.match(answer!.body.toString(), '"session_state":"Stopped"')
  const target = `${base}/endpoint/sessions/${session}?api-version=v1`
  t.match(JSON.parse((await rawRequest(emulator, 'GET', target))!.body.toString()), { status: 'idle' })
})

overEachProtocol('an unknown session is the envelope, not a stream', async (t) => {
  const emulator = await startTestEmulator(t, protocolOf(t))
  const answer = await rawRequest(emulator, 'GET', plain.replace(session, 'no-such-session'))
  t.equal(answer?.status, 404)
  t.match(JSON.parse(answer!.body.toString()), { error: { code: 'session_not_found' } })
})
