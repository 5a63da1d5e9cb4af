/**
 * What a run prints, and keeps in RESULTS.md. Layer: benchmark.
 *
 * Invariant: a section of RESULTS.md is replaced by the run of its kind, the others stay as they are.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'
import type { LinkSpeed } from './link.ts'

/** Command and machine. */
export function machine(): string[] {
  const [processor] = cpus()
  const words = process.argv.slice(2).filter((word) => word !== '--write')
  return [
    `\`${['scripts/bench/run', ...words].join(' ')}\``,
    '',
    `- ${new Date().toISOString().slice(0, 10)}, Linux ${release()}, Node ${process.version}, ${cpus().length} × ${processor?.model ?? 'CPU'}, ${(totalmem() / 1e9).toFixed(0)} GB, shared by all parties; what the servers serve is in memory, and the emulator is warmed up`,
  ]
}

export function linkLine(speed: LinkSpeed, roundTripMs: number, tls: boolean): string {
  const each = `${speed.oneWayMs} ms each way (${roundTripMs.toFixed(1)} ms there and back as measured)`
  return `- link: ${each}, ${speed.bitsPerSecond / 1e6} Mbit/s each way, ${tls ? 'TLS' : 'plain HTTP'}`
}

/** Replaces the section below a heading of RESULTS.md, or adds it; answers the path. */
export function writeResults(heading: string, measured: string): string {
  const path = join(import.meta.dirname, 'RESULTS.md')
  const before = existsSync(path)
    ? readFileSync(path, 'utf8')
    : '# Results\n\nFigures of one machine: the ratios count.\n'
  writeFileSync(path, replaceSection(before, heading, measured))
  return path
}

/** The document with the section replaced where it is, or added at the end. */
export function replaceSection(document: string, heading: string, text: string): string {
  const [head = '', ...sections] = document.split(/^(?=## )/m)
  const section = `## ${heading}\n\n${text.trimEnd()}\n`
  const place = sections.findIndex((each) => each.startsWith(`## ${heading}\n`))
  if (place === -1) sections.push(section)
  else sections[place] = section
  return `${[head, ...sections].map((part) => part.trimEnd()).join('\n\n')}\n`
}
