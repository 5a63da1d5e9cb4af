/**
 * Every operation of the service on the sessions of hosted agents. Layer: client; usable by itself.
 *
 * Invariant: routes, parameters, headers and statuses are all written here, once; how a call is carried
 * out is `request.ts`. Failures are `ServiceError`.
 */
import { systemClock } from '../clock.ts'
import { type Logger, silentLogger } from '../log.ts'
import { defaultValues } from '../options/table.ts'
import { type AgentPatch, patchBody } from './agent-patch.ts'
import type { ServiceCall, ServiceOperation } from './call.ts'
import {
  type Identity,
  identityHeaders,
  type RequestOptions,
  type SessionClientOptions,
} from './client-options.ts'
import { readAnswer, readDone, unlessAlreadyGone } from './confirmation.ts'
import { TokenSource } from './credential.ts'
import { parseEndpoint, remotePath } from './endpoint.ts'
import { ServiceError } from './errors.ts'
import type { HttpReply } from './exchange.ts'
import { type FileDownload, receiveDownload } from './file-download.ts'
import { type LaneLevels, type LaneLoads, Lanes } from './lanes.ts'
import type {
  DeleteOptions,
  DownloadOptions,
  ListOptions,
  LogStream,
  LogStreamOptions,
  NewSession,
} from './operation-options.ts'
import { pageQuery, pages } from './pages.ts'
import { defaultTimeouts, type Timeouts } from './progress-watch.ts'
import { proxyFor } from './proxy.ts'
import { readJson } from './reply-json.ts'
import { CallRunner } from './request.ts'
import { defaultRetryPolicy } from './retry.ts'
import { Routes } from './routes.ts'
import type { RemoteEntry, UploadSource } from './session-files.ts'
import { openTransports, type Transport } from './transport.ts'
import { jsonBody, measureSource, uploadBody, type UploadFile, type UploadStream } from './upload-body.ts'
import {
  type Agent,
  type FilePage,
  entryNames,
  leftOut,
  parseAgent,
  parseFilePage,
  parseSession,
  parseSessionPage,
  parseUploadReply,
  sessionNames,
  type Session,
  toAgent,
  toRemoteEntry,
  toSession,
  type UploadReply,
  type WireSessionPage,
} from './wire.ts'

export class SessionClient {
  /** Bytes above which an upload is refused before anything is sent. */
  readonly maxFileBytes: number
  /** The proxy on the way to the endpoint, for display, without credentials; undefined: none. */
  readonly proxy: string | undefined
  readonly #routes: Routes
  readonly #identity: Identity
  readonly #apiVersion: string
  readonly #userAgent: string
  readonly #timeouts: Timeouts
  readonly #lanes: Lanes
  readonly #calls: Transport
  readonly #streams: Transport
  readonly #runner: CallRunner
  readonly #logger: Logger
  readonly #namedDirectories = new Set<string>()

  constructor(options: SessionClientOptions) {
    const { clock = systemClock, logger = silentLogger, limits, ca } = options
    identityHeaders(options)
    const { origin, basePath } = parseEndpoint(options.endpoint)
    this.#routes = new Routes(basePath)
    this.#identity = { isolationKey: options.isolationKey, userIdentity: options.userIdentity }
    this.#apiVersion = options.apiVersion ?? 'v1'
    this.#userAgent = options.userAgent ?? 'mount-session'
    this.#timeouts = { ...defaultTimeouts, ...options.timeouts }
    this.maxFileBytes = options.maxFileBytes ?? defaultValues().maxFileBytes
    this.#logger = logger
    this.#lanes = new Lanes(limits ?? {}, clock)
    const { connectMs } = this.#timeouts
    const proxy = proxyFor(options.proxy, origin)
    this.proxy = proxy && `${proxy.address} (${proxy.name})`
    const { calls, streams } = openTransports({ origin, clock, connectMs, ca, proxy })
    this.#calls = calls
    this.#streams = streams
    this.#runner = new CallRunner({
      tokens: new TokenSource(options.credential, clock),
      clock,
      logger,
      retry: { ...defaultRetryPolicy, ...options.retry },
      random: options.random ?? Math.random,
      onCall: options.onCall ?? (() => undefined),
      onServerDate: options.onServerDate,
    })
  }

  /** Attempts under way and waiting, and how many the service bears at the moment. */
  get load(): LaneLoads {
    return this.#lanes.load
  }

  /** How many calls at once were found good, to begin with another time: `limits.start`. */
  get levels(): LaneLevels {
    return this.#lanes.levels
  }

  /** A new session, mostly `active` at once. An id that is taken: `conflict`; an agent that is not there: `not_found`. */
  createSession(agent: string, session: NewSession = {}, options: RequestOptions = {}): Promise<Session> {
    const { sessionId, agentVersion } = session
    const what = `create session of ${agent}`
    const version = { type: 'version_ref', agent_version: agentVersion }
    return this.#run(options, {
      verb: 'createSession',
      what,
      method: 'POST',
      path: this.#routes.sessions(agent),
      subject: 'agent',
      body: jsonBody({
        ...(sessionId === undefined ? {} : { agent_session_id: sessionId }),
        ...(agentVersion === undefined ? {} : { version_indicator: version }),
      }),
      idempotent: false,
      receive: async (reply) => toSession(parseSession(await readJson(what, reply), what)),
    })
  }

  getSession(agent: string, session: string, options: RequestOptions = {}): Promise<Session> {
    const what = `get session ${agent}/${session}`
    return this.#run(options, {
      verb: 'getSession',
      what,
      method: 'GET',
      path: this.#routes.session(agent, session),
      subject: 'session',
      receive: async (reply) => toSession(parseSession(await readJson(what, reply), what)),
    })
  }

  /** All sessions of an agent that the caller may see, over as many pages as there are. */
  async *listSessions(agent: string, options: ListOptions = {}): AsyncGenerator<Session, void, undefined> {
    const what = `list sessions of ${agent}`
    const fetch = (after: string | undefined): Promise<WireSessionPage> =>
      this.#run(options, {
        verb: 'listSessions',
        what,
        method: 'GET',
        path: this.#routes.sessions(agent),
        query: pageQuery(options, after),
        subject: 'agent',
        receive: async (reply) => parseSessionPage(await readJson(what, reply), what),
      })
    for await (const { data } of pages(what, fetch, sessionNames)) yield* data.map(toSession)
  }

  /** Takes the compute away and keeps the files. Resolves with false for a session that was stopped already. */
  async stopSession(agent: string, session: string, options: RequestOptions = {}): Promise<boolean> {
    try {
      await this.#run(options, {
        verb: 'stopSession',
        what: `stop session ${agent}/${session}`,
        method: 'POST',
        path: this.#routes.stop(agent, session),
        subject: 'session',
        receive: ignoreBody,
      })
      return true
    } catch (error) {
      if (!(error instanceof ServiceError && error.serviceCode === 'session_already_stopped')) throw error
      /* an attempt before this one may have done it */
      return error.ambiguous
    }
  }

  /** For ever, with its files. Takes some seconds. */
  async deleteSession(agent: string, session: string, options: RequestOptions = {}): Promise<void> {
    await this.#run(options, {
      verb: 'deleteSession',
      what: `delete session ${agent}/${session}`,
      method: 'DELETE',
      path: this.#routes.session(agent, session),
      subject: 'session',
      receive: ignoreBody,
    }).catch(unlessAlreadyGone('session_not_found'))
  }

  patchAgent(agent: string, patch: AgentPatch, options: RequestOptions = {}): Promise<Agent> {
    const what = `patch agent ${agent}`
    return this.#run(options, {
      verb: 'patchAgent',
      what,
      method: 'PATCH',
      path: this.#routes.agent(agent),
      subject: 'agent',
      body: jsonBody(patchBody(patch), 'application/merge-patch+json'),
      receive: async (reply) => toAgent(parseAgent(await readJson(what, reply), what)),
    })
  }

  /** The direct children of a directory; '' is the session's home. */
  async *listSessionFiles(
    agent: string,
    session: string,
    directory = '',
    options: ListOptions = {},
  ): AsyncGenerator<RemoteEntry, void, undefined> {
    for await (const page of this.listSessionFilePages(agent, session, directory, options)) yield* page
  }

  /** `listSessionFiles` a page at a time, one request each. Names that no directory can have are left out and logged. */
  async *listSessionFilePages(
    agent: string,
    session: string,
    directory = '',
    options: ListOptions = {},
  ): AsyncGenerator<readonly RemoteEntry[], void, undefined> {
    const what = `list ${directory === '' ? '/' : directory}`
    const path = remotePath(directory)
    const fetch = (after: string | undefined): Promise<FilePage> =>
      this.#run(options, {
        verb: 'list',
        what,
        method: 'GET',
        path: this.#routes.files(agent, session),
        query: { path, ...pageQuery(options, after) },
        // The home is always there: what is not found is the session, or its agent.
        subject: path === '.' ? 'session' : 'path',
        receive: async (reply) => parseFilePage(await readAnswer(what, reply), what),
      })
    for await (const page of pages(what, fetch, entryNames)) {
      const entries = page.entries.map(toRemoteEntry)
      const left = page.entries.filter((_, index) => entries[index] === undefined)
      if (left.length > 0) this.#logLeftOut(directory, left)
      yield entries.filter((entry) => entry !== undefined)
    }
  }

  /** Creates or replaces a file, and its parents. Over `maxFileBytes`: `too_large`, and nothing is sent. */
  async uploadSessionFile(
    agent: string,
    session: string,
    path: string,
    source: UploadSource | UploadStream | UploadFile,
    options: RequestOptions = {},
  ): Promise<UploadReply> {
    const what = `upload ${path}`
    const { size, source: sized } = await measureSource(what, source, this.maxFileBytes)
    return this.#run(options, {
      verb: 'upload',
      what,
      method: 'PUT',
      path: this.#routes.content(agent, session),
      query: { path: remotePath(path) },
      subject: 'path',
      body: uploadBody(what, sized),
      contentBytes: size,
      receive: async (reply) => {
        const answer = parseUploadReply(await readAnswer(what, reply), what)
        const written = answer.bytes_written ?? size
        if (written !== size)
          throw new ServiceError('truncated', `${what}: the service has ${written} of ${size} bytes`)
        return { path: answer.path ?? path, bytesWritten: written }
      },
    })
  }

  /** The bytes of a file, streamed; a body cut before its first byte has been asked for again by then. */
  downloadSessionFile(
    agent: string,
    session: string,
    path: string,
    options: DownloadOptions = {},
  ): Promise<FileDownload> {
    const what = `download ${path}`
    return this.#run(options, {
      verb: 'download',
      what,
      method: 'GET',
      path: this.#routes.content(agent, session),
      query: { path: remotePath(path) },
      accept: 'application/octet-stream',
      contentBytes: options.expectedBytes ?? Infinity,
      subject: 'path',
      receive: (reply) => receiveDownload(what, reply),
    })
  }

  /** A file or an empty directory; with `recursive` a directory and all below it. */
  async deleteSessionFile(
    agent: string,
    session: string,
    path: string,
    options: DeleteOptions = {},
  ): Promise<void> {
    const what = `delete ${path}`
    await this.#run(options, {
      verb: 'delete',
      what,
      method: 'DELETE',
      path: this.#routes.files(agent, session),
      query: { path: remotePath(path), recursive: options.recursive },
      subject: 'path',
      receive: (reply) => readDone(what, reply),
    }).catch(unlessAlreadyGone('not_found'))
  }

  /** A directory and its parents; `unsupported` where the service has no such call. */
  makeSessionDirectory(
    agent: string,
    session: string,
    path: string,
    options: RequestOptions = {},
  ): Promise<void> {
    const what = `make directory ${path}`
    return this.#run(options, {
      verb: 'mkdir',
      what,
      method: 'POST',
      path: this.#routes.mkdir(agent, session),
      subject: 'operation',
      body: jsonBody({ path: remotePath(path) }),
      receive: (reply) => readDone(what, reply),
    })
  }

  /** The console as server-sent events, on a connection of its own, undecoded. */
  getSessionLogStream(agent: string, session: string, options: LogStreamOptions = {}): Promise<LogStream> {
    const { agentVersion: version, kind, tail, follow, stallMs = 150_000 } = options
    const operation: ServiceOperation<LogStream> = {
      verb: 'logStream',
      what: `log stream of ${agent}/${session}`,
      method: 'GET',
      path: this.#routes.logStream(agent, session, version),
      query: version === undefined ? { kind, tail, follow } : {},
      accept: 'text/event-stream',
      subject: 'session',
      contentBytes: Infinity,
      receive: ({ status, body }) => Promise.resolve({ status, body, close: () => void body.return() }),
    }
    const timeouts = { ...this.#timeouts, stallMs, unreadMs: 0, totalMs: 0 }
    return this.#run(options, operation, { lane: undefined, transport: this.#streams, timeouts })
  }

  /** Ends every call with `aborted` and closes all connections; the client is of no use afterwards. */
  async close(): Promise<void> {
    this.#runner.close()
    await Promise.all([this.#calls.destroy(), this.#streams.destroy()])
  }

  #run<T>(
    options: RequestOptions,
    operation: ServiceOperation<T>,
    special?: Pick<ServiceCall<T>, 'lane' | 'transport' | 'timeouts'>,
  ): Promise<T> {
    const { accept = 'application/json', query, ...rest } = operation
    const identity = {
      isolationKey: options.isolationKey ?? this.#identity.isolationKey,
      userIdentity: options.userIdentity ?? this.#identity.userIdentity,
    }
    const call: ServiceCall<T> = {
      ...rest,
      query: { 'api-version': this.#apiVersion, ...query },
      headers: {
        accept,
        // What answers a change is too short to be worth it.
        'accept-encoding':
          accept === 'application/json' && operation.method === 'GET' ? 'gzip, deflate' : 'identity',
        'user-agent': this.#userAgent,
        ...identityHeaders(identity),
      },
      lane: this.#lanes.of(operation),
      transport: this.#calls,
      timeouts: this.#timeouts,
      ...special,
    }
    return this.#runner.run(call, options)
  }

  /** Once for each directory. */
  #logLeftOut(directory: string, entries: readonly unknown[]): void {
    if (this.#namedDirectories.has(directory)) return
    this.#namedDirectories.add(directory)
    this.#logger.warn(...leftOut(directory, entries))
  }
}

async function ignoreBody({ body }: HttpReply): Promise<void> {
  await body.whole(1024 * 1024)
}
