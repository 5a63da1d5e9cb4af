/**
 * Volumes that are made on demand: each is a new session of the storage class's agent. Layer: csi.
 *
 * Invariant: a call that comes again makes nothing more. A session is deleted only where the volume's own id says that
 * it is to go with it, which the storage class has asked for (`reclaim: delete`).
 */
import { ServiceError } from '../client/errors.ts'
import type { SessionClient } from '../client/session-client.ts'
import type { Session } from '../client/wire.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { ServiceOptions } from '../options/mount-options.ts'
import { defaultValues } from '../options/table.ts'
import { newClient } from '../session/connect.ts'
import { checkCapability } from './capability.ts'
import { CsiError } from './csi-error.ts'
import type { CallContext, ServedService } from './grpc-server.ts'
import { codeOf } from './grpc-status.ts'
import type {
  CreateVolumeRequest,
  DeleteVolumeRequest,
  TextMap,
  ValidateVolumeCapabilitiesRequest,
} from './messages.ts'
import { ofTheUser, readClass, type VolumeClass } from './volume-class.ts'
import { secretOf } from './volume-attributes.ts'
import { isOfName, parseVolumeId, sessionId, sessionPrefix, volumeId } from './volume-id.ts'

export interface ControllerOptions {
  /** How the service is reached, beside what the requests say. */
  readonly connection: Pick<ServiceOptions, 'caFile' | 'httpsProxy' | 'allProxy' | 'noProxy'>
  readonly clock: Clock
  readonly logger: Logger
}

export function controllerService(options: ControllerOptions): ServedService {
  const controller = new Controller(options)
  return {
    proto: 'csi.proto',
    name: 'csi.v1.Controller',
    handlers: {
      ControllerGetCapabilities: () =>
        Promise.resolve({ capabilities: [{ rpc: { type: 'CREATE_DELETE_VOLUME' } }] }),
      CreateVolume: (request: CreateVolumeRequest, context: CallContext) =>
        controller.create(request, context),
      DeleteVolume: (request: DeleteVolumeRequest, context: CallContext) =>
        controller.delete(request, context),
      ValidateVolumeCapabilities: (request: ValidateVolumeCapabilitiesRequest, context: CallContext) =>
        controller.validate(request, context),
    },
  }
}

/** One attempt each: the caller asks again, and meanwhile the claim's events say why. */
interface Attempt {
  readonly signal: AbortSignal
  readonly retry: false
}

class Controller {
  readonly #options: ControllerOptions
  /** Names and ids about which a call is under way. */
  readonly #underWay = new Set<string>()

  constructor(options: ControllerOptions) {
    this.#options = options
  }

  async create(request: CreateVolumeRequest, context: CallContext): Promise<object> {
    const { name, capacityRange, volumeCapabilities, volumeContentSource, parameters, secrets } = request
    if (name === '') throw new CsiError('invalidArgument', 'name is missing')
    if (volumeCapabilities.length === 0)
      throw new CsiError('invalidArgument', 'volume_capabilities is missing')
    for (const capability of volumeCapabilities) checkCapability(capability)
    if (volumeContentSource !== null)
      throw new CsiError(
        'invalidArgument',
        'a session begins empty: it is no copy of a snapshot or another volume',
      )
    const volumeClass = readClass(parameters, secrets, volumeCapabilities)
    const { endpoint, agent, isDeleted, handedOn } = volumeClass
    const prefix = sessionPrefix(name, volumeClass)
    const session = sessionId(prefix, { capacityRange, parameters: ofTheUser(parameters) })
    return this.#alone(name, async () => {
      await this.#talk(volumeClass, secrets, context, (client, attempt) =>
        ensureSession(client, { ...volumeClass, prefix, session }, attempt),
      )
      return {
        volume: {
          capacityBytes: 0,
          volumeId: volumeId({ endpoint, agent, session, isDeleted }),
          volumeContext: { ...handedOn, endpoint, agent, session },
        },
      }
    })
  }

  async delete({ volumeId: id, secrets }: DeleteVolumeRequest, context: CallContext): Promise<object> {
    if (id === '') throw new CsiError('invalidArgument', 'volume_id is missing')
    const volume = parseVolumeId(id)
    if (volume?.isDeleted !== true) return {}
    return this.#alone(id, async () => {
      await this.#talk({ ...volume, userIdentity: undefined }, secrets, context, async (client, attempt) => {
        await client.deleteSession(volume.agent, volume.session, attempt).catch(unlessGone)
      })
      return {}
    })
  }

  async validate(request: ValidateVolumeCapabilitiesRequest, context: CallContext): Promise<object> {
    const { volumeId: id, volumeContext, volumeCapabilities, parameters, secrets } = request
    if (id === '') throw new CsiError('invalidArgument', 'volume_id is missing')
    if (volumeCapabilities.length === 0)
      throw new CsiError('invalidArgument', 'volume_capabilities is missing')
    const volume = parseVolumeId(id)
    if (volume === undefined) throw new CsiError('notFound', `${id}: no volume of this driver`)
    const { userIdentity } = volumeContext
    await this.#talk({ ...volume, userIdentity }, secrets, context, (client, attempt) =>
      client.getSession(volume.agent, volume.session, attempt),
    )
    try {
      for (const capability of volumeCapabilities) checkCapability(capability)
    } catch (error) {
      if (error instanceof CsiError) return { message: error.message }
      throw error
    }
    return { confirmed: { volumeContext, volumeCapabilities, parameters } }
  }

  async #alone<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
    if (this.#underWay.has(what)) throw new CsiError('aborted', `${what}: another call about it is under way`)
    this.#underWay.add(what)
    try {
      return await work()
    } finally {
      this.#underWay.delete(what)
    }
  }

  /** With a client of its own, as the secret signs in; without a token as the controller's Pod does. */
  async #talk<Result>(
    { endpoint, agent, userIdentity }: Pick<VolumeClass, 'endpoint' | 'agent' | 'userIdentity'>,
    secrets: TextMap,
    { signal }: CallContext,
    use: (client: SessionClient, attempt: Attempt) => Promise<Result>,
  ): Promise<Result> {
    const { connection, clock, logger } = this.#options
    const service = {
      ...defaultValues(),
      ...connection,
      endpoint,
      userIdentity,
      isolationKey: secretOf(secrets, 'isolationKey'),
      token: secretOf(secrets, 'token'),
    }
    let client: SessionClient | undefined
    try {
      client = newClient(service, { clock, logger })
      return await use(client, { signal, retry: false })
    } catch (error) {
      throw explained(error, `${agent} at ${endpoint}`)
    } finally {
      await client?.close()
    }
  }
}

interface Wanted extends VolumeClass {
  readonly prefix: string
  readonly session: string
}

/** The session is there afterwards, made now or by a call before; one of the same name that is another is refused. */
async function ensureSession(client: SessionClient, wanted: Wanted, attempt: Attempt): Promise<void> {
  const { agent, agentVersion, prefix, session } = wanted
  for await (const other of client.listSessions(agent, attempt)) {
    if (other.sessionId === session) {
      checkUsable(other, wanted)
      return
    }
    if (isOfName(other.sessionId, prefix) && !isOver(other))
      throw new CsiError(
        'alreadyExists',
        `${agent}/${other.sessionId} was made for a volume of this name with another size or other parameters: delete it, or choose another name`,
      )
  }
  try {
    await client.createSession(agent, { sessionId: session, agentVersion }, attempt)
  } catch (error) {
    if (!(error instanceof ServiceError && error.code === 'conflict')) throw error
    checkUsable(await client.getSession(agent, session, attempt), wanted)
  }
}

function checkUsable(session: Session, { agent }: Wanted): void {
  if (!isOver(session)) return
  throw new CsiError(
    'failedPrecondition',
    `${agent}/${session.sessionId}: the service says this session is ${session.status}: delete it, or make the claim anew`,
  )
}

function isOver({ status }: Session): boolean {
  return status === 'expired' || status === 'deleted' || status === 'deleting' || status === 'failed'
}

function unlessGone(error: unknown): void {
  const isGone =
    error instanceof ServiceError && (error.code === 'session_not_found' || error.code === 'not_found')
  if (!isGone) throw error
}

const remedies: Readonly<Partial<Record<ServiceError['code'], string>>> = {
  unauthorized: 'the secret needs a valid token, or the controller an identity',
  credential: 'the secret needs a token, or the controller an identity',
  forbidden: 'who signs in needs a role in the project, and the isolationKey of the session',
  not_found: 'no such agent, or no such version of it',
}

/** What the claim's events say. */
function explained(error: unknown, where: string): unknown {
  const code = codeOf(error)
  if (!(error instanceof ServiceError) || code === undefined) return error
  const remedy = remedies[error.code]
  const message = `${where}: ${error.message}${remedy === undefined ? '' : ` (${remedy})`}`
  return new CsiError(code, message, { cause: error })
}
