/**
 * Which processes keep a mount busy. Layer: cli.
 *
 * Invariant: reads /proc only, never the mounted filesystem and no memory of others, so it answers while they hang
 * on that; of other users' processes it sees what the caller may.
 */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { basename } from 'node:path'

/* what Node calls its main thread, whatever it runs */
const nameOfNodes = 'MainThread'

export interface Occupant {
  readonly pid: number
  readonly command: string
  /** What it has there: a path, or `working directory`. */
  readonly reason: string
}

/** The processes with a working directory, an open file or a mapped file at or below `directory`. */
export function occupants(directory: string): readonly Occupant[] {
  const inside = (path: string): boolean => path === directory || path.startsWith(`${directory}/`)
  return readNames('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name) || name === String(process.pid)) {
      return []
    }
    const folder = `/proc/${name}`
    const reason = whyBusy(folder, inside)
    return reason === undefined ? [] : [{ pid: Number(name), command: commandOf(folder), reason }]
  })
}

function whyBusy(folder: string, inside: (path: string) => boolean): string | undefined {
  if (inside(readLink(`${folder}/cwd`)) || inside(readLink(`${folder}/root`))) {
    return 'working directory'
  }
  const links = readNames(`${folder}/fd`).map((name) => `${folder}/fd/${name}`)
  return [`${folder}/exe`, ...links].map(readLink).find(inside) ?? mappedFile(folder, inside)
}

/* the sixth field of a line is the path of the mapped file, if it has one */
function mappedFile(folder: string, inside: (path: string) => boolean): string | undefined {
  const lines = readText(`${folder}/maps`).split('\n')
  return lines
    .map((line) => line.slice(line.indexOf('/')))
    .find((path) => path.startsWith('/') && inside(path))
}

/* not `cmdline`: that lies in the memory of the process, which may be waiting for this mount */
function commandOf(folder: string): string {
  const name = readText(`${folder}/comm`).trim()
  return name === nameOfNodes ? basename(readLink(`${folder}/exe`)) : name
}

function readLink(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

function readNames(path: string): readonly string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
