/**
 * The rule of proof, case by case.
 */
import t from 'tap'
import { judge, type ProofRules, type Provenance, type Verdict } from '../../src/cache/content-proof.ts'
import type { RemoteEntry } from '../../src/client/session-files.ts'

/** Downloaded at order 10 to 20, known at 1000 ms; the service's clock said 100 s, the file's time was 98 s. */
const content: Provenance = {
  origin: 'download',
  size: 5,
  modifiedSeconds: 98,
  begunOrder: 10,
  endedOrder: 20,
  knownAt: 1_000,
  serverDateMs: 100_000,
  kept: false,
}
const listed: RemoteEntry = { name: 'a', isDirectory: false, size: 5, modifiedSeconds: 98 }
const rules: ProofRules = { ttlMs: 2_000, ownTtlMs: 60_000 }
const waiting = { begunOrder: undefined, endedOrder: undefined, knownAt: undefined, serverDateMs: undefined }

interface Case {
  readonly title: string
  readonly content?: Partial<Provenance>
  readonly listed?: Partial<RemoteEntry>
  /** Order of the listing; default 30, newer than the download. */
  readonly seen?: number
  /** `Clock.now()`; default long after the TTL. */
  readonly now?: number
  readonly rules?: Partial<ProofRules>
  readonly verdict: Verdict
}

const cases: Case[] = [
  { title: 'the same size and time before and after, and old enough', verdict: 'proven' },
  { title: 'proven needs no ttl', rules: { ttlMs: 0 }, verdict: 'proven' },
  { title: 'a listing begun while the bytes came', seen: 20, verdict: 'stale' },
  { title: 'a listing from before the download', seen: 5, verdict: 'stale' },
  { title: 'another size', listed: { size: 6 }, verdict: 'stale' },
  { title: 'another time', listed: { modifiedSeconds: 99 }, verdict: 'stale' },
  { title: 'a directory in its place', listed: { isDirectory: true }, verdict: 'stale' },
  {
    title: 'changed less than two seconds before the download',
    content: { modifiedSeconds: 99 },
    listed: { modifiedSeconds: 99 },
    verdict: 'stale',
  },
  {
    title: 'no time given',
    content: { modifiedSeconds: 0 },
    listed: { modifiedSeconds: 0 },
    verdict: 'stale',
  },
  { title: 'no date in the answer', content: { serverDateMs: undefined }, verdict: 'stale' },
  { title: 'its time was never listed', content: { modifiedSeconds: undefined }, verdict: 'stale' },
  {
    title: 'empty, and listed as empty',
    content: { size: 0, modifiedSeconds: 0 },
    listed: { size: 0, modifiedSeconds: 0 },
    verdict: 'proven',
  },
  { title: 'younger than the ttl', seen: 5, now: 2_999, verdict: 'young' },
  { title: 'as old as the ttl', seen: 5, now: 3_000, verdict: 'stale' },
  { title: 'ttl 0', seen: 5, now: 1_000, rules: { ttlMs: 0 }, verdict: 'stale' },
  { title: 'young, but another size since', seen: 11, now: 1_001, listed: { size: 6 }, verdict: 'stale' },
  {
    title: 'young, and the listing with another size is older',
    seen: 9,
    now: 1_001,
    listed: { size: 6 },
    verdict: 'young',
  },
  {
    title: 'within the content ttl',
    seen: 5,
    now: 10_000,
    rules: { contentTtlMs: 9_001 },
    verdict: 'young',
  },
  {
    title: 'the content ttl is for a listing that agrees',
    seen: 5,
    now: 10_000,
    listed: { size: 6 },
    rules: { contentTtlMs: 9_001 },
    verdict: 'stale',
  },
  { title: 'immutable', seen: 5, rules: { immutable: true }, verdict: 'immutable' },
  { title: 'immutable, another size', listed: { size: 6 }, rules: { immutable: true }, verdict: 'stale' },
  { title: 'nothing asked yet', content: waiting, rules: { ttlMs: 0 }, verdict: 'waiting' },
  { title: 'nothing asked yet, another size', content: waiting, listed: { size: 6 }, verdict: 'stale' },
  { title: 'on its way', content: { endedOrder: undefined }, verdict: 'arriving' },
  {
    title: 'on its way, another size',
    content: { endedOrder: undefined },
    listed: { size: 6 },
    verdict: 'stale',
  },
  { title: 'on its way, ttl 0', content: { endedOrder: undefined }, rules: { ttlMs: 0 }, verdict: 'stale' },
  {
    title: 'our own within its minute',
    content: { origin: 'own', modifiedSeconds: undefined },
    now: 61_000,
    verdict: 'own',
  },
  {
    title: 'our own, older',
    content: { origin: 'own', modifiedSeconds: undefined },
    now: 61_001,
    verdict: 'stale',
  },
  {
    title: 'our own, another size',
    content: { origin: 'own', modifiedSeconds: undefined },
    listed: { size: 6 },
    now: 1_001,
    verdict: 'stale',
  },
  {
    title: 'our own, and a listing from before the upload with another size',
    content: { origin: 'own', modifiedSeconds: undefined },
    seen: 9,
    listed: { size: 6 },
    now: 30_000,
    verdict: 'own',
  },
  {
    title: 'our own that cannot be had back',
    content: { origin: 'own', kept: true, serverDateMs: undefined },
    now: 1e9,
    verdict: 'own',
  },
  {
    title: 'our own that cannot be had back, another size',
    content: { origin: 'own', kept: true, serverDateMs: undefined },
    listed: { size: 6 },
    verdict: 'stale',
  },
]

for (const each of cases)
  void t.test(`${each.title}: ${each.verdict}`, (t) => {
    const verdict = judge(
      { ...content, ...each.content },
      { listed: { ...listed, ...each.listed }, begunOrder: each.seen ?? 30 },
      each.now ?? 1_000_000,
      { ...rules, ...each.rules },
    )
    t.equal(verdict, each.verdict)
    t.end()
  })
