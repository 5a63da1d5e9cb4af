/**
 * A filesystem in memory over `fuse-napi`, at the mount point and with the number of workers given.
 * Layer: benchmark.
 *
 * Invariant: does for each call what the one behind our own layer does: one look-up in a table, no copies but
 * those that the binding's interface asks for, nothing remembered by the kernel.
 */
import { createRequire } from 'node:module'
import { treeFiles } from '../tree.ts'

interface Attributes {
  readonly mode: number
  readonly size: number
  readonly uid: number
  readonly gid: number
  readonly nlink: number
  readonly atime: { readonly seconds: number; readonly nanoseconds: number }
  mtime: { readonly seconds: number; readonly nanoseconds: number }
  readonly ctime: { readonly seconds: number; readonly nanoseconds: number }
}

/** The part of the binding that is used here: it need not be installed to compile this. */
interface Binding {
  new (
    mountPoint: string,
    operations: object,
    options: object,
  ): { mount(done: (error?: Error) => void): void }
  readonly ENOENT: number
}

type Answer<T = undefined> = (errno: number, value?: T) => void

const Fuse = createRequire(import.meta.url)('fuse-napi') as Binding
const [mountPoint = '', workers = ''] = process.argv.slice(2)

const uid = process.getuid?.() ?? 0
const gid = process.getgid?.() ?? 0
const time = now()
const common = { uid, gid, atime: time, mtime: time, ctime: time }
const root: Attributes = { ...common, mode: 0o040755, size: 0, nlink: 2 }
interface File {
  readonly attributes: Attributes
  readonly content: Buffer
}
const files = new Map<string, File>()
for (const { name, content } of treeFiles()) {
  files.set(`/${name}`, {
    attributes: { ...common, mode: 0o100644, size: content.length, nlink: 1 },
    content,
  })
}
const open = new Map<number, File>()
let lastHandle = 0

function attributesOf(path: string): Attributes | undefined {
  return path === '/' ? root : files.get(path)?.attributes
}

function now(): { seconds: number; nanoseconds: number } {
  const ms = Date.now()
  const seconds = Math.floor(ms / 1000)
  return { seconds, nanoseconds: (ms - seconds * 1000) * 1_000_000 }
}

const operations = {
  getattr(path: string, answer: Answer<Attributes>): void {
    const attributes = attributesOf(path)
    if (attributes === undefined) answer(Fuse.ENOENT)
    else answer(0, attributes)
  },
  readdir(_path: string, answer: Answer<string[]>): void {
    answer(
      0,
      [...files.keys()].map((path) => path.slice(1)),
    )
  },
  open(path: string, _flags: number, answer: Answer<number>): void {
    const file = files.get(path)
    if (file === undefined) {
      answer(Fuse.ENOENT)
      return
    }
    open.set(++lastHandle, file)
    answer(0, lastHandle)
  },
  read(
    _path: string,
    handle: number,
    buffer: Buffer,
    length: number,
    position: number,
    answer: Answer,
  ): void {
    answer(open.get(handle)?.content.copy(buffer, 0, position, position + length) ?? Fuse.ENOENT)
  },
  write(
    _path: string,
    handle: number,
    buffer: Buffer,
    length: number,
    position: number,
    answer: Answer,
  ): void {
    const file = open.get(handle)
    if (file === undefined) {
      answer(Fuse.ENOENT)
      return
    }
    file.attributes.mtime = now()
    answer(buffer.copy(file.content, position, 0, length))
  },
  flush(_path: string, _handle: number, answer: Answer): void {
    answer(0)
  },
  release(_path: string, handle: number, answer: Answer): void {
    open.delete(handle)
    answer(0)
  },
}

const options = {
  maxConcurrency: Number(workers),
  entryTimeout: 0,
  attrTimeout: 0,
  // Without a timer for each call, which we do not have either.
  timeout: { default: false, init: 15_000 },
}
/* A mount alone does not keep the process alive. */
setInterval(() => undefined, 60_000)
new Fuse(mountPoint, operations, options).mount((error) => {
  if (error === undefined || (error as unknown) === null) return
  console.error(error)
  process.exit(1)
})
