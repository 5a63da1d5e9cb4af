/**
 * The files and directories of the reference tree, and how what is seen of them is written. Layer: tests.
 *
 * Invariant: `version` grows with everything that may move the time of modification; a mount must show the same
 * time for as long as it does not.
 */
import { createHash } from 'node:crypto'

interface EntryBase {
  mode: number | undefined
  /** User and group by number, or `own` for whoever runs the test; undefined: not known. */
  owner: string | undefined
  /** Unix seconds, as set; undefined: not known (the agent's, or since a write). */
  modified: number | undefined
  version: number
  /** Its name was taken by the agent: what those who have it open see is not promised. */
  lost: boolean
}

export interface FileObject extends EntryBase {
  readonly kind: 'file'
  bytes: Buffer
}

export interface DirectoryObject extends EntryBase {
  readonly kind: 'directory'
  readonly children: Map<string, Entry>
}

export type Entry = FileObject | DirectoryObject

const own = 'own'
const changing = { modified: undefined, version: 0, lost: false }

export function newFile(): FileObject {
  return { kind: 'file', bytes: Buffer.alloc(0), mode: 0o644, owner: own, ...changing }
}

export function newDirectory(mode?: number): DirectoryObject {
  const owner = mode === undefined ? undefined : own
  return { kind: 'directory', children: new Map(), mode, owner, ...changing }
}

/** It was changed: its time of modification is another one now. */
export function touch(entry: Entry, modified?: number): void {
  entry.modified = modified
  entry.version++
}

export function describe(entry: Entry): string {
  const mode = entry.mode === undefined ? '*' : entry.mode.toString(8)
  const shown = `${mode} ${entry.owner ?? '*'} ${entry.modified ?? '*'}`
  return entry.kind === 'file' ? `file ${entry.bytes.length} ${shown}` : `directory ${shown}`
}

/** The time in what `describe` wrote, or a subject. */
export function timeIn(shown: string): string | undefined {
  const words = shown.split(' ')
  return words[0] === 'file' ? words[4] : words[3]
}

export function digestOf(bytes: Uint8Array): string {
  return `${bytes.length} ${createHash('md5').update(bytes).digest('hex').slice(0, 8)}`
}

export function show(bytes: Uint8Array): string {
  return `bytes ${digestOf(bytes)}`
}

/** Names in the order in which both sides tell them; no name has a `|`. */
export function showNames(names: Iterable<string>): string {
  return [...names].sort().join('|')
}

/** What no comparison is made of. */
export const unspecified = 'unspecified'

const between = 'between '

/** Names, of which some must be told, each once, and others may. */
export function someOf(must: Iterable<string>, may: Iterable<string>): string {
  return between + JSON.stringify([[...must], [...may]])
}

/** Whether what was found is what was expected, where anything was. */
export function agrees(expected: string, found: string): boolean {
  if (expected === unspecified) return true
  if (expected.startsWith(between)) {
    const [must, may] = JSON.parse(expected.slice(between.length)) as [string[], string[]]
    const told = found === '' ? [] : found.split('|')
    const isOnce = new Set(told).size === told.length
    return isOnce && must.every((name) => told.includes(name)) && told.every((name) => may.includes(name))
  }
  const [words, others] = [expected.split(' '), found.split(' ')]
  return words.length === others.length && words.every((word, at) => word === '*' || word === others[at])
}
