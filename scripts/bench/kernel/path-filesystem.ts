/**
 * The files of `tree.ts` as the bindings to libfuse want them: by path, with an answer to call. Layer: benchmark.
 *
 * Invariant: does for each call what the one behind our own layer does: one look-up in a table, no copies but
 * those that the binding's interface asks for.
 */
import { treeFiles } from './tree.ts'

/** In the form of one binding or the other. */
type Time = Date | { readonly seconds: number; readonly nanoseconds: number }

interface Attributes {
  readonly mode: number
  readonly size: number
  readonly uid: number
  readonly gid: number
  readonly nlink: number
  readonly atime: Time
  mtime: Time
  readonly ctime: Time
}

interface OpenFile {
  readonly attributes: Attributes
  readonly content: Buffer
}

type Answer<T = undefined> = (errno: number, value?: T) => void

/** `now` gives a time in the binding's form, and `missing` is its errno for what is not there. */
export function pathFilesystem(now: () => Time, missing: number): object {
  const uid = process.getuid?.() ?? 0
  const gid = process.getgid?.() ?? 0
  const time = now()
  const common = { uid, gid, atime: time, mtime: time, ctime: time }
  const root: Attributes = { ...common, mode: 0o040755, size: 0, nlink: 2 }
  const files = new Map<string, OpenFile>()
  for (const { name, content } of treeFiles()) {
    const attributes = { ...common, mode: 0o100644, size: content.length, nlink: 1 }
    files.set(`/${name}`, { attributes, content })
  }
  const open = new Map<number, OpenFile>()
  let lastHandle = 0
  return {
    getattr(path: string, answer: Answer<Attributes>): void {
      const attributes = path === '/' ? root : files.get(path)?.attributes
      if (attributes === undefined) answer(missing)
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
        answer(missing)
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
      answer(open.get(handle)?.content.copy(buffer, 0, position, position + length) ?? missing)
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
        answer(missing)
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
}

/** The part of a binding that is used here: it need not be installed to compile this. */
export interface Binding {
  new (
    mountPoint: string,
    operations: object,
    options: object,
  ): { mount(done: (error?: Error | null) => void): void }
  readonly ENOENT: number
}

/** Mounts, and keeps the process alive, which a mount alone does not. */
export function serveBinding(Fuse: Binding, mountPoint: string, operations: object, options: object): void {
  setInterval(() => undefined, 60_000)
  new Fuse(mountPoint, operations, options).mount((error) => {
    if (error === undefined || error === null) return
    console.error(error)
    process.exit(1)
  })
}
