/**
 * The progress of several things as one. Layer: beside the composition root.
 */
import type { Progress } from './protocol.ts'

/** Each call of the answer begins one more; what each of them said last is added up. */
export function addProgress(onProgress: (progress: Progress) => void): () => (progress: Progress) => void {
  const last: Progress[] = []
  return () => {
    const place = last.push({ paths: 0, bytes: 0 }) - 1
    return (progress) => {
      last[place] = progress
      onProgress({
        paths: last.reduce((sum, { paths }) => sum + paths, 0),
        bytes: last.reduce((sum, { bytes }) => sum + bytes, 0),
        waitingFor: last.find(({ waitingFor }) => waitingFor !== undefined)?.waitingFor,
      })
    }
  }
}
