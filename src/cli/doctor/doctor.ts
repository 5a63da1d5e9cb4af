/**
 * `mount-session doctor [AGENT/SESSION]`: what is in the way, and what to do. Layer: cli.
 *
 * Invariant: changes nothing; each check ends within its bound, and they are told in one order whichever ends first.
 */
import { systemClock } from '../../clock.ts'
import { parseEndpoint } from '../../client/endpoint.ts'
import { type Proxy, proxyFor } from '../../client/proxy.ts'
import { showAddress } from '../../options/show-address.ts'
import type { OptionValues } from '../../options/table.ts'
import { readCommand } from '../command-line.ts'
import { printable, styled, writeJson } from '../output.ts'
import { dataDirectories } from '../session-arguments.ts'
import { parseTarget } from '../targets.ts'
import {
  type CheckName,
  checkNames,
  failure,
  type Finding,
  type Level,
  lookWithin,
  ok,
  skipped,
  textOf,
  type Verdict,
  warning,
} from './finding.ts'
import { checkAllowOther, checkDevice, checkFusermount, checkKernel, checkNode } from './fuse-checks.ts'
import { checkDirectory, checkJournals, checkMounts } from './local-checks.ts'
import type { Endpoint } from './service-checks.ts'
import { surroundingFacts, surroundingNames, surroundingsOf } from './surroundings.ts'

type Checks = Partial<Record<CheckName, (signal: AbortSignal) => Promise<Verdict>>>

export async function run(argv: readonly string[]): Promise<number> {
  const { words, flags, values } = readCommand('doctor', argv)
  const target = words[0] === undefined ? undefined : parseTarget(words[0], 'doctor')
  const surroundings = surroundingsOf(surroundingFacts())
  const checks = { ...localChecks(values), ...(await serviceChecks(values, target)) }
  const findings = await Promise.all(
    checkNames.map(async (check): Promise<Finding> => {
      const look = checks[check]
      const late = 'what it looks at does not answer: try again, or look at it by hand'
      const verdict =
        look === undefined
          ? skipped('not without an endpoint, and a proxy that can be used where one is set')
          : await lookWithin(look, { clock: systemClock, late })
      return { check, ...verdict }
    }),
  )
  if (flags.json) writeJson({ surroundings, checks: findings })
  else process.stdout.write(`${surroundingNames[surroundings]}\n${findings.map(shown).join('')}`)
  return findings.some(({ level }) => level === 'failure') ? 1 : 0
}

function localChecks(values: OptionValues): Checks {
  const surroundings = surroundingsOf(surroundingFacts())
  const isInspected = values.caFile !== undefined || values.httpsProxy !== undefined
  const roots = (): ReturnType<typeof dataDirectories> => dataDirectories(process.env)
  return {
    device: () => checkDevice(surroundings),
    fusermount3: () => checkFusermount(surroundings),
    user_allow_other: () => checkAllowOther(surroundings),
    kernel: () => checkKernel(),
    node: () => checkNode(isInspected),
    state: async () => checkDirectory(roots().stateRoot, { variable: 'XDG_STATE_HOME', hasJournal: true }),
    cache: async () => checkDirectory(roots().cacheRoot, { variable: 'XDG_CACHE_HOME', hasJournal: false }),
    mounts: async () => checkMounts(roots()),
    journals: async () => checkJournals(roots()),
  }
}

async function serviceChecks(
  values: OptionValues,
  target: { readonly agent: string; readonly session: string } | undefined,
): Promise<Checks> {
  const given = endpointOf(values.endpoint)
  if ('level' in given) return { endpoint: () => Promise.resolve(given) }
  const service = await import('./service-checks.ts')
  const name = target === undefined ? undefined : showAddress(target)
  let proxy: Proxy | undefined
  try {
    const { httpsProxy, allProxy, noProxy } = values
    const url = httpsProxy ?? allProxy
    const option =
      url === undefined
        ? undefined
        : { url, noProxy, name: httpsProxy === undefined ? 'ALL_PROXY' : 'HTTPS_PROXY' }
    proxy = proxyFor(option, given.url.origin)
  } catch (error) {
    const wrong = failure(textOf(error), 'a proxy is http://[USER:PASSWORD@]HOST:PORT, or unset the variable')
    const login = async (signal: AbortSignal): Promise<Verdict> =>
      (await service.logIn(values, signal)).verdict
    return { endpoint: () => Promise.resolve(ok(given.text)), proxy: () => Promise.resolve(wrong), login }
  }
  const hasProxy = proxy !== undefined
  const login = once((signal) => service.logIn(values, signal))
  /* without waiting for a login, which takes its time and may fail: any answer tells of the way there */
  const reach = once((signal) => service.askService(values, given, values.token, target, signal))
  const answer =
    values.token === undefined
      ? once(async (signal) => service.askService(values, given, (await login(signal)).token, target, signal))
      : reach
  const isKeyGiven = values.isolationKey !== undefined
  return {
    endpoint: () => Promise.resolve(ok(given.text)),
    dns: () => service.checkDns(given, hasProxy),
    proxy: (signal) => service.checkProxy(proxy, values, signal),
    certificates: (signal) => service.checkCertificates(given, hasProxy, values.caFile, signal),
    reach: async (signal) => service.describeReach(await reach(signal)),
    clock: async (signal) => service.describeClock(await reach(signal)),
    login: async (signal) => (await login(signal)).verdict,
    role: async (signal) => service.describeRole(await answer(signal), target !== undefined),
    session: async (signal) => service.describeSession(await answer(signal), name),
    isolation: async (signal) => service.describeIsolation(await answer(signal), name, isKeyGiven),
  }
}

/** Several checks go by the same look; the first of them begins it. */
function once<Result>(
  look: (signal: AbortSignal) => Promise<Result>,
): (signal: AbortSignal) => Promise<Result> {
  let looking: Promise<Result> | undefined
  return (signal) => (looking ??= look(signal))
}

function endpointOf(text: string | undefined): Endpoint | Verdict {
  if (text === undefined)
    return warning(
      'none is given: nothing of the service can be looked at',
      '--endpoint URL, or FOUNDRY_PROJECT_ENDPOINT',
    )
  try {
    const { origin, basePath } = parseEndpoint(text)
    return { url: new URL(origin), text: `${origin}${basePath}` }
  } catch (error) {
    return failure(textOf(error), 'https://ACCOUNT.services.ai.azure.com/api/projects/PROJECT')
  }
}

const marks: Readonly<Record<Level, string>> = {
  ok: 'ok',
  warning: 'warning',
  failure: 'FAILURE',
  skipped: '-',
}
const colours = { ok: 'green', warning: 'yellow', failure: 'red', skipped: 'dim' } as const
const nameWidth = checkNames.reduce((most, name) => Math.max(most, name.length), 0)
const markWidth = 'warning'.length

function shown({ check, level, message, remedy }: Finding): string {
  const mark = styled(colours[level], marks[level].padEnd(markWidth))
  const line = `${mark}  ${check.padEnd(nameWidth)}  ${printable(message)}\n`
  return remedy === undefined ? line : `${line}${' '.repeat(markWidth + nameWidth + 4)}${printable(remedy)}\n`
}
