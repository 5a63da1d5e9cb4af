import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { ListeningServer } from '../../src/csi/grpc-server.ts'
import { register, registrationSocket } from '../../src/csi/registration.ts'
import {
  promised,
  recordingLogger,
  type RecordingLogger,
  remoteService,
  type RemoteService,
  temporaryDirectory,
} from './rig.ts'

interface Registered extends RemoteService {
  readonly server: ListeningServer
  readonly socket: string
  readonly driverSocket: string
  readonly logger: RecordingLogger
  readonly refused: Promise<string>
}

/** The driver as the kubelet finds it in its directory of plugins. */
async function registered(t: Test): Promise<Registered> {
  const kubeletDirectory = temporaryDirectory(t)
  const driverSocket = join(kubeletDirectory, 'plugins/csi.mount-session/csi.sock')
  const logger = recordingLogger()
  const { value: refused, settle: onRefused } = promised<string>()
  const server = await register({ kubeletDirectory, driverSocket, logger, onRefused })
  t.teardown(() => server.close(AbortSignal.abort()))
  const socket = registrationSocket(kubeletDirectory)
  t.equal(socket, join(kubeletDirectory, 'plugins_registry/csi.mount-session-reg.sock'))
  const service = { proto: 'registration.proto', name: 'pluginregistration.Registration' } as const
  return { ...remoteService(t, socket, service), server, socket, driverSocket, logger, refused }
}

void t.test('the kubelet learns the name of the driver, its socket and the version it speaks', async (t) => {
  const { call, driverSocket } = await registered(t)
  t.strictSame(await call('GetInfo'), {
    type: 'CSIPlugin',
    name: 'csi.mount-session',
    endpoint: driverSocket,
    supportedVersions: ['1.0.0'],
  })
})

void t.test('that it was taken is logged', async (t) => {
  const { call, logger } = await registered(t)
  t.strictSame(await call('NotifyRegistrationStatus', { pluginRegistered: true }), {})
  t.match(
    logger.lines.filter(({ level }) => level !== 'debug'),
    [{ level: 'info', message: 'registered with the kubelet' }],
  )
})

void t.test('a driver that was not taken is told why, after the kubelet has its answer', async (t) => {
  const { call, refused, logger } = await registered(t)
  const reason = 'plugin validation failed'
  t.strictSame(await call('NotifyRegistrationStatus', { pluginRegistered: false, error: reason }), {})
  t.equal(await refused, reason)
  t.match(
    logger.lines.filter(({ level }) => level !== 'debug'),
    [{ level: 'error', reason, message: 'the kubelet does not take the driver' }],
  )
})

void t.test('the socket is gone with the driver', async (t) => {
  const { server, socket } = await registered(t)
  t.ok(existsSync(socket))
  await server.close()
  t.notOk(existsSync(socket))
})
