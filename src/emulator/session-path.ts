/**
 * The service's rules for paths in a session's home. Layer: emulator.
 *
 * Invariant: what comes out is relative, has neither empty, `.` nor `..` parts, and so stays inside the home;
 * the empty string is the home itself.
 */

import { badRequest } from './envelope.ts'

const maxNameBytes = 255
const maxPathBytes = 3500

/** The normal form of a `path` as callers write it: a leading slash is optional, `.` and `//` collapse. */
export function normalizePath(path: string): string {
  if (path.includes('\0') || path.includes('\\')) {
    throw badRequest('The path contains a character that is not allowed.')
  }
  const parts = path.split('/').filter((part) => part !== '' && part !== '.')
  for (const part of parts) {
    if (part === '..') throw badRequest("The path must not contain '..'.")
    if (Buffer.byteLength(part) > maxNameBytes) {
      throw badRequest(`A name in the path is longer than ${maxNameBytes} bytes.`)
    }
  }
  const normal = parts.join('/')
  if (Buffer.byteLength(normal) > maxPathBytes) throw badRequest('The path is too long.')
  return normal
}

/** As `normalizePath`, for operations that need a name: missing, or the home itself, is refused. */
export function requirePath(path: unknown): string {
  if (typeof path !== 'string' || path === '') throw badRequest("The parameter 'path' is required.")
  const normal = normalizePath(path)
  if (normal === '') throw badRequest('The operation is not possible on the root directory.')
  return normal
}
