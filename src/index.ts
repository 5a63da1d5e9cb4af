/**
 * The package's public list. Layer: the top; nothing inside imports it.
 *
 * Invariant: what is not exported here may change without notice, and importing it loads neither the kernel's
 * side nor a server: they come with the first call.
 */
/// <reference types="node" preserve="true" />
import type { Emulator, EmulatorOptions } from './emulator/emulator.ts'
import { silentLogger, type Logger } from './log.ts'
import type { MountedSession } from './mount/mounted-session.ts'
import { defaultValues } from './options/table.ts'
import type { MountOptions } from './options/mount-options.ts'

/** What a mount cannot do without; `token` or a login of `@azure/identity` is needed as well. */
export type RequiredMountOption = 'endpoint' | 'agent' | 'session' | 'directory' | 'stateRoot' | 'cacheRoot'

export type LibraryMountOptions = Pick<MountOptions, RequiredMountOption> &
  Partial<Omit<MountOptions, RequiredMountOption>>

/**
 * Mounts a session from this process, whose event loop then serves it: never touch the mount synchronously
 * from here. Options are those of the command line, with its defaults. Rejects with `SessionError`.
 */
export async function mountSession(
  options: LibraryMountOptions,
  { logger = silentLogger, signal }: { readonly logger?: Logger; readonly signal?: AbortSignal } = {},
): Promise<MountedSession> {
  const { mountSession: mount } = await import('./mount/mount.ts')
  const values = { ...defaultValues(), isolationKey: undefined, userIdentity: undefined, ...options }
  return mount(values, { logger, signal })
}

/** Serves the REST surface of the service from a local directory until `close`. */
export async function startEmulator(options: EmulatorOptions): Promise<Emulator> {
  const { startEmulator: start } = await import('./emulator/emulator.ts')
  return start(options)
}

export type {
  Call as EmulatorCall,
  Emulator,
  EmulatorOptions,
  Fault,
  FaultMatch,
  FaultRule,
  Hold,
  EmulatedLogStream as EmulatorLogStreamOptions,
  SeedSession,
  CountedVerb as EmulatorVerb,
} from './emulator/emulator.ts'
export type { ConsoleStream } from './emulator/console-log.ts'
export { SessionError, type SessionErrorCode } from './session/session-error.ts'
export type { MountedSession, WaitOptions } from './mount/mounted-session.ts'
export type { DataDirectories, MountOptions, RunOptions, SessionAddress } from './options/mount-options.ts'
export type { OptionName, OptionValues } from './options/table.ts'
export type { Leftover, Progress, SessionReport, StatusReport } from './control/protocol.ts'
export { getFile, getTree } from './transfer/get-tree.ts'
export { type PutOptions, putTree } from './transfer/put-tree.ts'
export type {
  TransferFailure,
  TransferOptions,
  TransferProgress,
  TransferredFile,
  TransferResult,
} from './transfer/transfer.ts'
export { TransferError, type TransferErrorCode } from './transfer/transfer-error.ts'
export { sessionFiles } from './client/remote-files.ts'
export { SessionClient } from './client/session-client.ts'
export type { FileDownload } from './client/file-download.ts'
export { followLogs, type FollowLogsOptions } from './logs/console-lines.ts'
export type { StreamName } from './logs/line-filter.ts'
export { type LogFrame, logFrames } from './logs/log-frames.ts'
export type { Identity, RequestOptions, SessionClientOptions } from './client/client-options.ts'
export type {
  DeleteOptions,
  DownloadOptions,
  ListOptions,
  LogStream,
  LogStreamOptions,
  NewSession,
} from './client/operation-options.ts'
export type {
  AgentCard,
  AgentCardSkill,
  AgentEndpoint,
  AgentPatch,
  AuthorizationScheme,
  EmptyConfiguration,
  EndpointProtocol,
  ProtocolConfiguration,
  VersionSelectionRule,
} from './client/agent-patch.ts'
export type { AccessToken, Credential, TokenCredential } from './client/credential.ts'
export {
  type Concern,
  ServiceError,
  type ServiceErrorCode,
  type ServiceErrorDetails,
} from './client/errors.ts'
export type { FinishedCall, Verb } from './client/call.ts'
export type { LaneLoad } from './client/lane.ts'
export type { LaneLevels, LaneLimits, LaneLoads } from './client/lanes.ts'
export type { ProxyOptions } from './client/proxy.ts'
export type { Timeouts } from './client/progress-watch.ts'
export type { RetryPolicy } from './client/retry.ts'
export type {
  CallOptions,
  Download,
  RemoteEntry,
  SessionFiles,
  UploadSource,
} from './client/session-files.ts'
export type { UploadFile, UploadStream } from './client/upload-body.ts'
export type { Agent, Session, UploadReply } from './client/wire.ts'
export type { Clock } from './clock.ts'
export type { Logger } from './log.ts'
