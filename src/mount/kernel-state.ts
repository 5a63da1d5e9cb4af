/**
 * The file in which a mount writes down what the kernel knows of it, so that another process can go on with it, as who
 * goes on reads it. Layer: mount; the lines are `kernel-record.ts`'s, after one of JSON that says what else has to be
 * known.
 *
 * Invariant: what cannot be read as a whole is not gone on with. Loads nothing native, so that commands can look for it.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { readRemembered, type Remembered } from '../filesystem/remembered.ts'

/** What a newer program must be able to read; to be raised when an older one could not. */
export const kernelStateVersion = 1

const header = v.object({
  version: v.literal(kernelStateVersion),
  /** What the kernel was agreed with on; undefined: not yet. */
  agreed: v.optional(v.object({ expireOnly: v.boolean(), resend: v.boolean() })),
  /** Of the kernel's mount table. */
  mount: v.optional(v.object({ id: v.number(), device: v.string() })),
  /** The mount point, canonical. */
  directory: v.string(),
  /** When the mount began, ISO 8601. */
  mountedAt: v.string(),
  /** Of the session, Unix milliseconds. */
  createdAtMs: v.number(),
  agentVersion: v.optional(v.string()),
  /** Of a session in a mount of all of an agent: which. */
  session: v.optional(v.string()),
  /** It is closed until somebody goes in again. */
  isResting: v.optional(v.boolean()),
  /** Each time that another process went on with it; ISO 8601. */
  restarts: v.array(v.object({ at: v.string(), why: v.string() })),
})

export type KernelStateHeader = v.InferOutput<typeof header>

export interface KernelStateFound {
  readonly header: KernelStateHeader
  readonly remembered: Remembered
}

/** Where it lies. */
export function fileIn(stateDirectory: string): string {
  return join(stateDirectory, 'kernel-state')
}

/** Whether somebody could go on with a mount of this session. */
export function hasKernelState(stateDirectory: string): boolean {
  return existsSync(fileIn(stateDirectory))
}

/** What a process before this one wrote down; throws, with the reason in words, where nobody can go on with it. */
export function readKernelState(stateDirectory: string): KernelStateFound {
  const file = fileIn(stateDirectory)
  const bytes = readFileSync(file)
  const behind = bytes.indexOf(0)
  const text = bytes.toString('utf8', 0, behind === -1 ? bytes.length : behind)
  const end = text.indexOf('\n')
  const first: unknown = JSON.parse(text.slice(0, Math.max(0, end)))
  const parsed = v.safeParse(header, first)
  if (!parsed.success) {
    const { version } = first as { readonly version?: unknown }
    const isOther = version !== kernelStateVersion
    throw new Error(
      isOther
        ? `${file}: written by another version of this program (${String(version)}, this one reads ${kernelStateVersion})`
        : `${file}: is damaged`,
    )
  }
  return { header: parsed.output, remembered: readRemembered(text.slice(end + 1)) }
}
