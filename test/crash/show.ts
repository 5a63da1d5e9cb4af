/**
 * Prints a tree as JSON: `show.ts DIRECTORY BELOW`. Layer: tests, run as a program.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'

const [, , directory = '', below = ''] = process.argv
const found: [string, string | null][] = []

function walk(path: string): void {
  for (const entry of fs.readdirSync(join(directory, path), { withFileTypes: true })) {
    const child = path === '' ? entry.name : `${path}/${entry.name}`
    if (entry.isDirectory()) {
      found.push([child, null])
      walk(child)
    } else found.push([child, fs.readFileSync(join(directory, child), 'latin1')])
  }
}

walk(below)
process.stdout.write(JSON.stringify(found))
