/**
 * The small site that GeeseFS publishes its times for (`bench/README.md` in github.com/yandex-cloud/geesefs):
 * 6,400 files of 0.5 to 300 KB, 30 KB on average, in 1,024 directories two levels deep, copied and removed.
 * There, beside its object storage: GeeseFS 25 s and 22 s, rclone with a cache 380 s and 376 s.
 * Layer: benchmark.
 *
 * Invariant: the same sizes in every run.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { filesBelow, noise } from './fixtures.ts'
import { removing, writing } from './limits.ts'
import { hasAll, type Workload } from './workload.ts'

const fileCount = 6400
const directoriesAbove = 32
const directoryCount = directoriesAbove * directoriesAbove
const smallestBytes = 500
const largestBytes = 300_000
const averageBytes = 30_000

/** `source` is made in `fixtures`. */
export function site(fixtures: string): Workload {
  const source = join(fixtures, 'site')
  makeSite(source)
  const all = filesBelow(source)
  const bytes = [...all.values()].reduce((sum, size) => sum + size, 0)
  return {
    name: 'site',
    isReading: false,
    prepare: () => undefined,
    steps: [
      {
        name: `cp -r of a site of ${fileCount} files`,
        cold: true,
        script: `cp -r '${source}' "$mount/site"`,
        isDurable: hasAll('site', all),
        need: writing(bytes),
      },
      {
        name: `rm -r of a site of ${fileCount} files`,
        cold: true,
        script: 'rm -r "$mount/site"',
        isDurable: (files) => !existsSync(join(files, 'site')) || filesBelow(join(files, 'site')).size === 0,
        need: removing({ files: fileCount, directories: directoryCount, bytes: averageBytes }),
      },
    ],
  }
}

function makeSite(root: string): void {
  const content = noise(largestBytes)
  for (let index = 0; index < fileCount; index++) {
    const place = index % directoryCount
    const directory = join(
      root,
      `section-${Math.floor(place / directoriesAbove)}`,
      `page-${place % directoriesAbove}`,
    )
    mkdirSync(directory, { recursive: true })
    writeFileSync(join(directory, `file-${index}`), content.subarray(0, siteFileBytes(index)))
  }
}

/** Sizes spread so that most are small: a power of an even spread, whose mean is the published average. */
export function siteFileBytes(index: number): number {
  /* even, without being in the order of the names */
  const even = ((index * 4001) % fileCount) / (fileCount - 1)
  const span = largestBytes - smallestBytes
  const power = span / (averageBytes - smallestBytes) - 1
  return Math.round(smallestBytes + span * even ** power)
}
