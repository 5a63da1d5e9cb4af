/**
 * Which processes keep a mount busy. Layer: cli.
 *
 * Invariant: reads the links in /proc only, never the mounted filesystem, so it answers while that hangs; of
 * other users' processes it sees what the caller may.
 */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs'

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
    if (!/^\d+$/.test(name)) {
      return []
    }
    const process = `/proc/${name}`
    const reason = whyBusy(process, inside)
    return reason === undefined ? [] : [{ pid: Number(name), command: commandOf(process), reason }]
  })
}

function whyBusy(process: string, inside: (path: string) => boolean): string | undefined {
  if (inside(readLink(`${process}/cwd`)) || inside(readLink(`${process}/root`))) {
    return 'working directory'
  }
  const links = readNames(`${process}/fd`).map((name) => `${process}/fd/${name}`)
  return [`${process}/exe`, ...links].map(readLink).find(inside) ?? mappedFile(process, inside)
}

/* the sixth field of a line is the path of the mapped file, if it has one */
function mappedFile(process: string, inside: (path: string) => boolean): string | undefined {
  const lines = readText(`${process}/maps`).split('\n')
  return lines
    .map((line) => line.slice(line.indexOf('/')))
    .find((path) => path.startsWith('/') && inside(path))
}

function commandOf(process: string): string {
  return readText(`${process}/comm`).trim()
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
