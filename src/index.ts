/**
 * The package's public list. Layer: the top; nothing inside imports it.
 *
 * Invariant: what is not exported here may change without notice.
 */
export { SessionClient } from './client/session-client.ts'
export type { Identity, RequestOptions, SessionClientOptions } from './client/client-options.ts'
export type {
  DeleteOptions,
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
  EndpointProtocol,
  ProtocolConfiguration,
  VersionSelectionRule,
} from './client/agent-patch.ts'
export type { AccessToken, Credential, TokenCredential } from './client/credential.ts'
export { ServiceError, type ServiceErrorCode, type ServiceErrorDetails } from './client/errors.ts'
export type { FinishedCall, Verb } from './client/call.ts'
export type { Timeouts } from './client/progress-watch.ts'
export type { RetryPolicy } from './client/retry.ts'
export type {
  CallOptions,
  Download,
  RemoteEntry,
  SessionFiles,
  UploadSource,
} from './client/session-files.ts'
export type { UploadStream } from './client/upload-body.ts'
export type { Agent, Session, UploadReply } from './client/wire.ts'
export type { Clock } from './clock.ts'
export type { Logger } from './log.ts'
