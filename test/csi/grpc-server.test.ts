import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { Client, credentials, status } from '@grpc/grpc-js'
import t from 'tap'
import { ServiceError } from '../../src/client/errors.ts'
import { CsiError } from '../../src/csi/csi-error.ts'
import { serveOn, type CallContext, type ServedService } from '../../src/csi/grpc-server.ts'
import type { NodePublishVolumeRequest } from '../../src/csi/messages.ts'
import { silentLogger } from '../../src/log.ts'
import { SessionError } from '../../src/session/session-error.ts'
import { promised, remoteService, served, temporaryDirectory } from './rig.ts'

const node = { proto: 'csi.proto', name: 'csi.v1.Node' } as const

/** The service of nodes, whose volumes are published by `publish`. */
function publishedBy(
  publish: (request: NodePublishVolumeRequest, context: CallContext) => Promise<object>,
): ServedService {
  return { ...node, handlers: { NodePublishVolume: publish } }
}

void t.test('a request comes as it was sent, and with defaults for what was left out', async (t) => {
  const asked: NodePublishVolumeRequest[] = []
  const { remote } = await served(t, [
    publishedBy((request) => {
      asked.push(request)
      return Promise.resolve({})
    }),
  ])
  const full = {
    volumeId: 'volume',
    publishContext: { a: 'b' },
    stagingTargetPath: '/staging',
    targetPath: '/target',
    volumeCapability: {
      mount: { fsType: 'fuse', mountFlags: ['ttl=5s', 'noexec'], volumeMountGroup: '1000' },
      accessMode: { mode: 'MULTI_NODE_MULTI_WRITER' },
    },
    readonly: true,
    secrets: { token: 'ünïcode' },
    volumeContext: { 'csi.storage.k8s.io/pod.name': 'pod' },
  }
  const { call } = remote(node)
  t.strictSame(await call('NodePublishVolume', full), {})
  t.strictSame(await call('NodePublishVolume', { volumeCapability: { block: {} } }), {})
  t.match(asked[0], { ...full, volumeCapability: { ...full.volumeCapability, block: undefined } })
  t.match(asked[1], {
    volumeId: '',
    publishContext: {},
    stagingTargetPath: '',
    targetPath: '',
    volumeCapability: { block: {}, mount: undefined, accessMode: null },
    readonly: false,
    secrets: {},
    volumeContext: {},
  })
})

void t.test(
  'every failure has the status that fits, its message on one line, and one line of the log',
  async (t) => {
    const failures: [unknown, string, string][] = [
      [
        new CsiError('invalidArgument', 'the attribute\n agent is missing'),
        'INVALID_ARGUMENT',
        'the attribute agent is missing',
      ],
      [new CsiError('notFound', 'gone'), 'NOT_FOUND', 'gone'],
      [new CsiError('alreadyExists', 'there'), 'ALREADY_EXISTS', 'there'],
      [new CsiError('permissionDenied', 'no'), 'PERMISSION_DENIED', 'no'],
      [new CsiError('unauthenticated', 'who'), 'UNAUTHENTICATED', 'who'],
      [new CsiError('failedPrecondition', 'first'), 'FAILED_PRECONDITION', 'first'],
      [new CsiError('aborted', 'twice'), 'ABORTED', 'twice'],
      [new CsiError('unimplemented', 'never'), 'UNIMPLEMENTED', 'never'],
      [new CsiError('deadlineExceeded', 'late'), 'DEADLINE_EXCEEDED', 'late'],
      [new CsiError('unavailable', 'later'), 'UNAVAILABLE', 'later'],
      [new CsiError('internal', 'broken: 100 %'), 'INTERNAL', 'broken: 100 %'],
      [new CsiError('internal', 'cut \ud800 here'), 'INTERNAL', 'cut \ufffd here'],
      [new SessionError('expired', 'over'), 'FAILED_PRECONDITION', 'over'],
      [new SessionError('unknownSession', 'none'), 'NOT_FOUND', 'none'],
      [new ServiceError('throttled', 'slowly'), 'UNAVAILABLE', 'slowly'],
      [new ServiceError('forbidden', 'not you'), 'PERMISSION_DENIED', 'not you'],
      [new ServiceError('bad_request', 'cut', { ambiguous: true }), 'UNAVAILABLE', 'cut'],
    ]
    const left = failures.map(([error]) => error)
    const { remote, logger } = await served(t, [
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- whatever it is
      publishedBy(() => Promise.reject(left.shift())),
    ])
    const { call } = remote(node)
    for (const [, code, details] of failures) {
      t.strictSame(await call('NodePublishVolume', { volumeId: 'v' }), { code, details })
      const { level, message, ...fields } = logger.lines.at(-1) ?? {}
      t.strictSame(
        { level, message, fields },
        {
          level: 'warn',
          message: 'a call failed',
          fields: { rpc: 'NodePublishVolume', volumeId: 'v', targetPath: '', code, reason: details },
        },
      )
    }
    t.equal(logger.lines.filter(({ level }) => level === 'warn').length, failures.length)
  },
)

void t.test('what nobody foresaw says nothing to the caller, and all to the log, once', async (t) => {
  const { remote, logger } = await served(t, [
    publishedBy((request) => {
      throw new TypeError(`cannot read ${request.volumeId}`)
    }),
  ])
  t.strictSame(await remote(node).call('NodePublishVolume', { volumeId: 'v' }), {
    code: 'INTERNAL',
    details: 'the driver failed: its log says where',
  })
  t.match(
    logger.lines.filter(({ level }) => level !== 'debug'),
    [{ level: 'error', rpc: 'NodePublishVolume', volumeId: 'v', err: TypeError }],
  )
  t.match(logger.text(), /cannot read v.*grpc-server\.test\.ts/)
})

void t.test('a message that would be no header is cut', async (t) => {
  const { remote } = await served(t, [
    publishedBy(() => Promise.reject(new CsiError('notFound', '😀'.repeat(100_000)))),
  ])
  const { details } = (await remote(node).call('NodePublishVolume')) as { details: string }
  t.match(details, /^(😀)+\ufffd?…$/u)
  t.equal(details.length, 2048)
})

void t.test(
  'the log has the name of a call, its volume and its target, and nothing else of it',
  async (t) => {
    const secret = 'eyJ-secret-of-the-pod'
    let fails = false
    const { remote, logger } = await served(t, [
      publishedBy(() => (fails ? Promise.reject(new Error('whatever')) : Promise.resolve({}))),
    ])
    const { call } = remote(node)
    const request = {
      volumeId: 'v',
      targetPath: '/target',
      secrets: { token: secret },
      publishContext: { secret },
      volumeContext: { 'csi.storage.k8s.io/serviceAccount.tokens': `{"a":{"token":"${secret}"}}` },
    }
    await call('NodePublishVolume', request)
    fails = true
    await call('NodePublishVolume', request)
    t.match(
      logger.lines.filter(({ message }) => message === 'called'),
      [{ level: 'debug', rpc: 'NodePublishVolume', volumeId: 'v', targetPath: '/target' }],
    )
    t.notMatch(logger.text(), secret)
  },
)

void t.test('a call that is not served is UNIMPLEMENTED, in a service that is there or not', async (t) => {
  const { remote, socket } = await served(t, [publishedBy(() => Promise.resolve({}))])
  const unimplemented = { code: 'UNIMPLEMENTED' }
  t.match(await remote(node).call('NodeGetInfo'), unimplemented)
  t.match(await remote(node).call('NodeStageVolume'), unimplemented)
  const controller = remoteService(t, socket, { ...node, name: 'csi.v1.Controller' })
  t.match(await controller.call('CreateVolume'), unimplemented)
})

void t.test('a handler of a call that no service has is refused', async (t) => {
  const socket = join(temporaryDirectory(t), 'csi.sock')
  const handlers = { NodePublish: () => Promise.resolve({}) }
  await t.rejects(serveOn(socket, [{ ...node, handlers }], { logger: silentLogger }), {
    message: 'csi.v1.Node has no call NodePublish',
  })
  t.notOk(existsSync(socket))
})

/** A service whose one call waits until its caller gives up, and what it was called with, by the name of the volume. */
function waiting(): {
  readonly service: ServedService
  readonly begun: (volume: string) => Promise<CallContext>
} {
  const calls = new Map<string, ReturnType<typeof promised<CallContext>>>()
  const callOf = (volume: string): ReturnType<typeof promised<CallContext>> => {
    const call = calls.get(volume) ?? promised<CallContext>()
    calls.set(volume, call)
    return call
  }
  const service = publishedBy(({ volumeId }, context) => {
    callOf(volumeId).settle(context)
    return new Promise((_resolve, reject) => {
      context.signal.addEventListener('abort', () => reject(new CsiError('aborted', 'given up')))
    })
  })
  return { service, begun: (volume) => callOf(volume).value }
}

const untilAborted = (signal: AbortSignal): Promise<unknown> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(undefined)
    else signal.addEventListener('abort', resolve)
  })

void t.test('the signal of a call is aborted when the caller gives up', async (t) => {
  const { service, begun } = waiting()
  const { remote } = await served(t, [service])
  const giveUp = new AbortController()
  const cancelled = remote(node).callUntil('NodePublishVolume', { volumeId: 'v' }, giveUp.signal)
  const { signal, deadlineMs } = await begun('v')
  t.equal(deadlineMs, Infinity)
  t.notOk(signal.aborted)
  giveUp.abort()
  await untilAborted(signal)
  t.match(await cancelled, { code: 'CANCELLED' })
})

void t.test('the signal of a call is aborted when its deadline passes', async (t) => {
  const { service, begun } = waiting()
  const { remote } = await served(t, [service])
  const { call } = remote(node)
  /* where the machine is slow a deadline may have passed before the call has come */
  for (let timeMs = 250; ; timeMs *= 2) {
    const volumeId = `within ${timeMs} ms`
    const late = call('NodePublishVolume', { volumeId }, { deadlineMs: Date.now() + timeMs })
    t.match(await late, { code: 'DEADLINE_EXCEEDED' })
    const context = await Promise.race([begun(volumeId), Promise.resolve(undefined)])
    if (context === undefined) continue
    t.type(context.deadlineMs, 'number')
    t.not(context.deadlineMs, Infinity)
    await untilAborted(context.signal)
    return
  }
})

void t.test('close takes no new call, waits for those in hand, and removes the socket', async (t) => {
  const begun = promised<undefined>()
  const finish = promised<object>()
  const { remote, server, socket } = await served(t, [
    publishedBy(() => {
      begun.settle(undefined)
      return finish.value
    }),
  ])
  const { call } = remote(node)
  const inHand = call('NodePublishVolume')
  await begun.value
  let isClosed = false
  const closed = server.close().then(() => (isClosed = true))
  t.match(await remoteService(t, socket, node).call('NodePublishVolume'), { code: 'UNAVAILABLE' })
  t.notOk(isClosed)
  finish.settle({})
  t.strictSame(await inHand, {})
  await closed
  t.notOk(existsSync(socket))
})

void t.test('close waits no longer than its caller wants to', async (t) => {
  const begun = promised<AbortSignal>()
  const { remote, server } = await served(t, [
    publishedBy((_request, { signal }) => {
      begun.settle(signal)
      return new Promise(() => undefined)
    }),
  ])
  const inHand = remote(node).call('NodePublishVolume')
  const signal = await begun.value
  const giveUp = new AbortController()
  const closed = server.close(giveUp.signal)
  giveUp.abort()
  await closed
  t.match(await inHand, { code: /CANCELLED|UNAVAILABLE/ })
  t.ok(signal.aborted)
})

void t.test('the socket is for its owner alone, in a directory that is made for it', async (t) => {
  const directory = join(temporaryDirectory(t), 'plugins', 'csi.mount-session')
  const socket = join(directory, 'csi.sock')
  const server = await serveOn(socket, [publishedBy(() => Promise.resolve({}))], { logger: silentLogger })
  t.equal(statSync(socket).mode & 0o777, 0o600)
  t.equal(statSync(directory).mode & 0o777, 0o700)
  t.strictSame(await remoteService(t, socket, node).call('NodePublishVolume'), {})
  await server.close(AbortSignal.abort())
})

void t.test('the socket of a driver that was killed is replaced', async (t) => {
  const socket = join(temporaryDirectory(t), 'csi.sock')
  const listenAndDie = `require('node:net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`
  t.equal(spawnSync(process.execPath, ['--eval', listenAndDie, socket]).signal, 'SIGKILL')
  t.ok(statSync(socket).isSocket())
  const server = await serveOn(socket, [publishedBy(() => Promise.resolve({}))], { logger: silentLogger })
  t.strictSame(await remoteService(t, socket, node).call('NodePublishVolume'), {})
  await server.close(AbortSignal.abort())
})

void t.test('nobody takes the place of a driver that serves, or of what is no socket', async (t) => {
  const directory = temporaryDirectory(t)
  const socket = join(directory, 'csi.sock')
  const service = publishedBy(() => Promise.resolve({}))
  const there = createServer().listen(socket)
  await new Promise((resolve) => there.once('listening', resolve))
  await t.rejects(serveOn(socket, [service], { logger: silentLogger }), {
    message: /another driver serves there/,
  })
  t.ok(existsSync(socket))
  await new Promise((resolve) => there.close(resolve))
  writeFileSync(socket, 'a file')
  await t.rejects(serveOn(socket, [service], { logger: silentLogger }), {
    message: /is there already, and no socket/,
  })
  mkdirSync(join(directory, 'd'))
  await t.rejects(serveOn(join(directory, 'd'), [service], { logger: silentLogger }), {
    message: /no socket/,
  })
  const far = join(directory, 'x'.repeat(107))
  await t.rejects(serveOn(far, [service], { logger: silentLogger }), { message: /can have 107 bytes/ })
  t.same(readdirSync(directory), ['csi.sock', 'd'])
})

void t.test('what goes over the wire has the names and numbers of the specification', async (t) => {
  const { remote, socket } = await served(t, [
    publishedBy((request) =>
      Promise.reject(new CsiError('notFound', `${request.volumeId} at ${request.targetPath}`)),
    ),
  ])
  t.match(await remote(node).call('NodePublishVolume', { volumeId: 'a', targetPath: '/b' }), {
    details: 'a at /b',
  })
  /* field 1 and field 4, texts, as any other program writes them */
  const bytes = Buffer.from('0a0161' + '22022f62', 'hex')
  const client = new Client(`unix:${socket}`, credentials.createInsecure())
  t.teardown(() => client.close())
  const details = await new Promise((resolve) => {
    client.makeUnaryRequest(
      '/csi.v1.Node/NodePublishVolume',
      () => bytes,
      (answer: Buffer) => answer,
      null,
      (error) => resolve(error?.details),
    )
  })
  t.equal(details, 'a at /b')
})

void t.test('bytes that are no call harm nobody but their sender', async (t) => {
  const { remote, socket } = await served(t, [publishedBy(() => Promise.resolve({}))])
  const client = new Client(`unix:${socket}`, credentials.createInsecure())
  t.teardown(() => client.close())
  const code = await new Promise((resolve) => {
    client.makeUnaryRequest(
      '/csi.v1.Node/NodePublishVolume',
      () => Buffer.from('0aff', 'hex'),
      (answer: Buffer) => answer,
      null,
      (error) => resolve(error?.code),
    )
  })
  t.equal(code, status.INTERNAL)
  const stranger = connect(socket)
  const closed = new Promise((resolve) => stranger.once('close', resolve))
  stranger.on('error', () => undefined)
  stranger.resume().end('GET / HTTP/1.1\r\n\r\n')
  await closed
  t.strictSame(await remote(node).call('NodePublishVolume'), {})
})
