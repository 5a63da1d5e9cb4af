#!/usr/bin/env node
/**
 * The entry of the command: sees to it that this Node can run the rest. Layer: cli, the entry.
 *
 * Invariant: everything in this file runs on old versions too, and nothing else is loaded before they are sent
 * away: one of them could not even read the program.
 */
const oldestNode = 24

if (Number.parseInt(process.versions.node, 10) < oldestNode) {
  process.stderr.write(
    `mount-session: Node ${oldestNode} is needed, or a later one; this is ${process.versions.node}: install it first\n`,
  )
  process.exitCode = 1
} else {
  await import('./program.ts')
}

export {}
