/**
 * List and delete of session files, and the undocumented mkdir and stat. Layer: emulator.
 *
 * Invariant: every file call wakes the session and counts as its use.
 */

import { createHash } from 'node:crypto'
import * as v from 'valibot'
import { badRequest, notFound, sendJson } from '../envelope.ts'
import type { Home, HomeEntry } from '../home.ts'
import { cutPage, readPageQuery } from '../paging.ts'
import { normalizePath, requirePath } from '../session-path.ts'
import {
  type Query,
  type RouteGroup,
  type ServiceContext,
  type SessionParams,
  useSession,
} from './context.ts'

const base = '/agents/:agent/endpoint/sessions/:session/files'
const opaquePrefix = 'c1-'

export const fileRoutes: RouteGroup = (app, context) => {
  const { gate, effects, store, options } = context

  app.get<{ Params: SessionParams; Querystring: Query }>(
    base,
    { onRequest: gate.entry('list') },
    (request, reply) => {
      const { home } = useSession(context, request, request.params)
      const path = listedPath(request.query['path'])
      return sendJson(request, reply, 200, list(home, path, request.query, context))
    },
  )

  app.delete<{ Params: SessionParams; Querystring: Query }>(
    base,
    { onRequest: gate.entry('delete') },
    async (request, reply) => {
      const session = useSession(context, request, request.params)
      const path = requirePath(request.query['path'])
      const recursive = readFlag(request.query, 'recursive')
      await effects.commit(request, {
        make: () => session.home.remove(path, recursive),
        isStillPossible: () => store.find(session.record.agent, session.record.id) === session,
      })
      return reply.code(204).send()
    },
  )

  app.post<{ Params: SessionParams }>(
    `${base}/mkdir`,
    { onRequest: gate.entry('mkdir') },
    async (request, reply) => {
      if (options.extras !== true) throw notFound('There is no such operation.')
      const session = useSession(context, request, request.params)
      const body = v.safeParse(v.looseObject({ path: v.string() }), request.body)
      if (!body.success) throw badRequest("The member 'path' is required.")
      const path = requirePath(body.output.path)
      const isNew = await effects.commit(request, {
        make: () => session.home.makeDirectory(path),
        isStillPossible: () => store.find(session.record.agent, session.record.id) === session,
      })
      return sendJson(request, reply, isNew ? 201 : 200, { path })
    },
  )

  app.get<{ Params: SessionParams; Querystring: Query }>(
    `${base}/stat`,
    { onRequest: gate.entry('stat') },
    (request, reply) => {
      if (options.extras !== true) throw notFound('There is no such operation.')
      const { home } = useSession(context, request, request.params)
      const path = listedPath(request.query['path'])
      const { name, isDirectory, size, mode, modifiedSeconds } = home.stat(path)
      return sendJson(request, reply, 200, {
        name: shownPath(name),
        path: shownPath(path),
        is_dir: isDirectory,
        size,
        mode,
        modified_time: options.modifiedTime === 'real' ? modifiedSeconds : 0,
      })
    },
  )
}

function listedPath(path: unknown): string {
  if (path === undefined) return ''
  if (typeof path !== 'string') throw badRequest("The parameter 'path' was given twice.")
  return normalizePath(path)
}

/** The home is `.` to callers. */
function shownPath(path: string): string {
  return path === '' ? '.' : path
}

function readFlag(query: Query, name: string): boolean {
  const value = query[name] ?? 'false'
  if (value !== 'true' && value !== 'false')
    throw badRequest(`The parameter '${name}' must be true or false.`)
  return value === 'true'
}

function list(home: Home, path: string, query: Query, { options }: ServiceContext): object {
  const paging = readPageQuery(query, options.pageSize ?? 100)
  const position = options.listOrder === 'shuffled' ? shuffledPosition : ownName
  const names = home.names(path, position, paging.descending)
  const cursorPosition = (cursor: string | undefined): string | undefined =>
    cursor === undefined ? undefined : position(readCursor(cursor, options.cursor === 'opaque'))
  const page = cutPage(names, paging, position, cursorPosition(paging.after), cursorPosition(paging.before))
  const entries = page.items
    .map((name) => home.entry(path, name))
    .filter((entry) => entry !== undefined)
    .map((entry) => entryBody(entry, options.modifiedTime === 'real'))
  const body = { path: shownPath(path), entries }
  const [first, last] = [page.items[0], page.items.at(-1)]
  if (!page.hasMore || first === undefined || last === undefined) return { ...body, has_more: false }
  const isOpaque = options.cursor === 'opaque'
  return {
    ...body,
    first_id: writeCursor(first, isOpaque),
    last_id: writeCursor(last, isOpaque),
    has_more: true,
  }
}

function entryBody(entry: HomeEntry, hasRealTime: boolean): object {
  return {
    name: entry.name,
    size: entry.size,
    is_directory: entry.isDirectory,
    modified_time: hasRealTime ? entry.modifiedSeconds : 0,
  }
}

function ownName(name: string): string {
  return name
}

/** The same place for a name in every listing, so that paging through a changing directory stays right. */
function shuffledPosition(name: string): string {
  return createHash('sha1').update(name).digest('hex')
}

function writeCursor(name: string, isOpaque: boolean): string {
  return isOpaque ? `${opaquePrefix}${Buffer.from(name).toString('base64url')}` : name
}

function readCursor(cursor: string, isOpaque: boolean): string {
  if (!isOpaque) return cursor
  if (!cursor.startsWith(opaquePrefix)) throw badRequest('The cursor is not one that a listing gave.')
  return Buffer.from(cursor.slice(opaquePrefix.length), 'base64url').toString()
}
