/**
 * What the layers need of a logger. Layer: below everything; the command line hands in pino.
 *
 * Invariant: no token and no file content is ever logged. A look-up miss is `debug`, a failed operation is
 * logged once, by the layer that gives up on it.
 */

export interface Logger {
  /** One call, one request of the kernel: said only where `isLevelEnabled('trace')`, so that it costs nothing else. */
  trace(fields: object, message: string): void
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  isLevelEnabled(level: 'trace'): boolean
}

export const silentLogger: Logger = {
  trace: () => undefined,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  isLevelEnabled: () => false,
}
