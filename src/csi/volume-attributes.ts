/**
 * What a volume is, read from the attributes of the Pod or of the storage class, from the Pod's secret and from what
 * the kubelet tells of the Pod. Layer: csi.
 *
 * Invariant: an attribute that is not known is refused by name, with what to give instead; so is an option of
 * `mount-session` that is not the volume's to decide.
 */
import { parseEndpoint } from '../client/endpoint.ts'
import type { MountOptions } from '../options/mount-options.ts'
import { defaultValues, type OptionName, type OptionRow, optionRows } from '../options/table.ts'
import { count, directoryPath, OptionValueError } from '../options/values.ts'
import { CsiError } from './csi-error.ts'
import type { TextMap, VolumeCapability } from './messages.ts'

/** The Pod that a volume is for, as the kubelet tells with `podInfoOnMount`; '' where it does not. */
export interface PodInfo {
  readonly namespace: string
  readonly name: string
  readonly uid: string
  readonly serviceAccount: string
}

/** What the daemon signs in with. */
export type VolumeCredential =
  /** A bearer token of the Pod's secret. */
  | { readonly kind: 'token'; readonly token: string }
  /** A token of the Pod's service account, which Entra takes for one of this application (workload identity). */
  | {
      readonly kind: 'workload'
      readonly assertion: string
      readonly clientId: string
      readonly tenantId: string
    }

/** What of the options the driver adds by itself. */
const ofTheDriver = [
  'directory',
  'stateRoot',
  'cacheRoot',
  'token',
  'caFile',
  'httpsProxy',
  'allProxy',
  'noProxy',
] as const satisfies readonly (keyof MountOptions)[]
type OfTheDriver = (typeof ofTheDriver)[number]

export interface VolumeSpec {
  readonly options: Omit<MountOptions, OfTheDriver>
  /** Of this volume alone: others of the same session may be written to. */
  readonly readOnly: boolean
  readonly credential: VolumeCredential
  readonly pod: PodInfo
}

export interface VolumeRequest {
  readonly volumeContext: TextMap
  readonly secrets: TextMap
  readonly volumeCapability: VolumeCapability | null
  readonly readonly: boolean
}

/** The audience of the service account's token, as `CSIDriver.spec.tokenRequests` has to name it. */
export const tokenAudience = 'api://AzureADTokenExchange'

const podInfoPrefix = 'csi.storage.k8s.io/'
const tokensKey = `${podInfoPrefix}serviceAccount.tokens`

const ownAttributes = [
  'endpoint',
  'agent',
  'session',
  'subPath',
  'readOnly',
  'clientId',
  'tenantId',
  'userIdentity',
] as const
type OwnAttribute = (typeof ownAttributes)[number]
const secretNames = ['token', 'isolationKey'] as const

/* options that an attribute or the driver stands for; what to do instead */
const notForVolumes = {
  endpoint: 'give the attribute endpoint',
  token: 'put it into the secret of nodePublishSecretRef, under the name token',
  isolationKey: 'put it into the secret of nodePublishSecretRef, under the name isolationKey',
  userIdentity: 'give the attribute userIdentity',
  subdirectory: 'give the attribute subPath',
  readOnly: 'give the attribute readOnly',
  sessionStatus: 'it chooses among all sessions of an agent, and a volume is one',
  caFile: 'give the driver --ca-file',
  httpsProxy: "set it in the driver's Pod",
  allProxy: "set it in the driver's Pod",
  noProxy: "set it in the driver's Pod",
  allowOther: 'a volume always lets all users of its Pod in',
  autoUnmount: 'the driver unmounts',
  restart: 'a daemon that ends is always followed by another',
  foreground: 'the driver starts the daemons',
  logLevel: 'give the driver --log-level',
  logFile: 'the log is that of the mount Pod',
  traceFile: 'the log is that of the mount Pod: give the driver --log-level trace',
  ignoreFrom: 'a volume has no file to read it from: give ignore',
} satisfies Readonly<Partial<Record<OptionName, string>>>
const remedies: ReadonlyMap<string, string> = new Map(Object.entries(notForVolumes))

const optionByName: ReadonlyMap<string, readonly [OptionName, OptionRow]> = new Map(
  optionRows.flatMap(([name, row]) =>
    [row.flag, row.mountOption].filter((word) => word !== undefined).map((word) => [word, [name, row]]),
  ),
)

/** Throws `CsiError` `invalidArgument`. */
export function readVolume(request: VolumeRequest): VolumeSpec {
  const attributes = attributesOf(request)
  const own = (name: OwnAttribute): string | undefined => attributes.get(name)
  const needed = (name: OwnAttribute): string => own(name) ?? refuse(`the attribute ${name} is missing`)
  const isolationKey = secretOf(request.secrets, 'isolationKey')
  const group = groupOf(request.volumeCapability)
  const subPath = own('subPath')
  const values = { ...defaultValues(), ...givenOptions(attributes) }
  return {
    options: {
      ...values,
      endpoint: readEndpoint(needed('endpoint')),
      agent: readName('agent', needed('agent')),
      session: readName('session', needed('session')),
      subdirectory: subPath === undefined ? undefined : valueOf('subPath', () => directoryPath(subPath)),
      isolationKey,
      userIdentity: own('userIdentity'),
      allowOther: true,
      readOnly: false,
      /* a volume belongs to its Pod, whoever runs in there */
      uid: values.uid ?? 0,
      gid: values.gid ?? group ?? 0,
      umask: attributes.has('umask') ? values.umask : group === undefined ? 0 : 0o002,
    },
    readOnly: request.readonly || isForReaders(request.volumeCapability) || flag('readOnly', own('readOnly')),
    credential: credentialOf(request, own),
    pod: podInfo(request.volumeContext),
  }
}

/** The first that two volumes of a session do not agree in; what the driver adds is not theirs. */
export function differingOption(
  one: VolumeSpec['options'],
  other: VolumeSpec['options'],
): keyof VolumeSpec['options'] | undefined {
  const names = Object.keys(one) as (keyof VolumeSpec['options'])[]
  return names.find(
    (name) =>
      !(ofTheDriver as readonly string[]).includes(name) &&
      JSON.stringify(one[name]) !== JSON.stringify(other[name]),
  )
}

/** What an option is called among the attributes. */
export function attributeOf(option: string): string {
  const [word = option] = [...optionByName].find(([, [name]]) => name === option) ?? []
  return word
}

/** What a storage class hands on to its volumes, flags of the mount included: throws for what no volume could have. */
export function checkAttributes(
  volumeContext: TextMap,
  {
    secrets = {},
    volumeCapability = null,
  }: Partial<Pick<VolumeRequest, 'secrets' | 'volumeCapability'>> = {},
): void {
  givenOptions(attributesOf({ volumeContext, secrets, volumeCapability, readonly: false }))
}

function refuse(message: string): never {
  throw new CsiError('invalidArgument', message)
}

/** Attributes of the volume and flags of its mount alike; what is the kubelet's or the cluster's has a slash in its name. */
function attributesOf({
  volumeContext,
  secrets,
  volumeCapability,
}: VolumeRequest): ReadonlyMap<string, string> {
  for (const name of Object.keys(secrets)) {
    if (!(secretNames as readonly string[]).includes(name) && !name.includes('/'))
      refuse(`the secret has an entry ${name}, which is not known: it may have ${secretNames.join(' and ')}`)
  }
  const attributes = new Map(Object.entries(volumeContext).filter(([name]) => !name.includes('/')))
  for (const given of volumeCapability?.mount?.mountFlags ?? []) {
    const at = given.indexOf('=')
    attributes.set(at < 0 ? given : given.slice(0, at), at < 0 ? 'true' : given.slice(at + 1))
  }
  return attributes
}

function givenOptions(attributes: ReadonlyMap<string, string>): Record<string, unknown> {
  const given: Record<string, unknown> = {}
  for (const [attribute, text] of attributes) {
    if ((ownAttributes as readonly string[]).includes(attribute)) continue
    /* what has no flag is called as the secret has it */
    const [name, row] = optionByName.get(attribute) ?? [attribute, undefined]
    const instead = remedies.get(name)
    if (instead !== undefined) refuse(`${attribute} is not a volume's to say: ${instead}`)
    if (row === undefined) return refuse(unknown(attribute))
    given[name] =
      row.argument === undefined ? flag(attribute, text) : valueOf(attribute, () => row.parse(text))
  }
  return given
}

/** Without the end of the line that a file has which a secret was made from. */
export function secretOf(secrets: TextMap, name: (typeof secretNames)[number]): string | undefined {
  const text = secrets[name]?.trim()
  return text === '' ? refuse(`the secret's ${name} is empty`) : text
}

function unknown(attribute: string): string {
  const options = [...optionByName].filter(([, [name]]) => !remedies.has(name))
  const names = [...ownAttributes, ...options.map(([word]) => word)]
  return `the attribute ${attribute} is not known: a volume may have ${names.join(', ')}`
}

function valueOf<Value>(attribute: string, parse: () => Value): Value {
  try {
    return parse()
  } catch (error) {
    if (error instanceof OptionValueError) refuse(`${attribute}: ${error.message}`)
    throw error
  }
}

function flag(attribute: string, text: string | undefined): boolean {
  if (text === undefined || text === 'false') return false
  return text === 'true' || refuse(`${attribute}: "${text}" is neither true nor false`)
}

export function readEndpoint(text: string): string {
  try {
    const { origin, basePath } = parseEndpoint(text)
    return `${origin}${basePath}`
  } catch (error) {
    return refuse(`endpoint: ${(error as Error).message}`)
  }
}

export function readName(attribute: string, text: string): string {
  return text === '' || text.includes('/') ? refuse(`${attribute}: "${text}" is not a name`) : text
}

/* of a volume that is ReadOnlyMany the kubelet says so here alone */
function isForReaders(capability: VolumeCapability | null): boolean {
  return capability?.accessMode?.mode.endsWith('_READER_ONLY') ?? false
}

function groupOf(capability: VolumeCapability | null): number | undefined {
  const text = capability?.mount?.volumeMountGroup ?? ''
  if (text === '') return undefined
  return valueOf('fsGroup', () => count(0, 2 ** 32 - 2)(text))
}

function podInfo(context: TextMap): PodInfo {
  const told = (name: string): string => context[`${podInfoPrefix}${name}`] ?? ''
  return {
    namespace: told('pod.namespace'),
    name: told('pod.name'),
    uid: told('pod.uid'),
    serviceAccount: told('serviceAccount.name'),
  }
}

/** Never what the node itself is signed in with: whoever may make a Pod would have that. */
function credentialOf(
  { volumeContext, secrets }: VolumeRequest,
  own: (name: OwnAttribute) => string | undefined,
): VolumeCredential {
  const token = secretOf(secrets, 'token')
  if (token !== undefined) return { kind: 'token', token }
  const clientId = own('clientId')
  const tenantId = own('tenantId')
  if (clientId === undefined || tenantId === undefined)
    return refuse(
      'nothing to sign in with: give clientId and tenantId (workload identity of the service account), or a secret with a token (nodePublishSecretRef)',
    )
  const assertion = serviceAccountToken(secrets[tokensKey] ?? volumeContext[tokensKey])
  return { kind: 'workload', assertion, clientId, tenantId }
}

function serviceAccountToken(json: string | undefined): string {
  const token = tokensFrom(json)?.[tokenAudience]?.token
  if (typeof token === 'string' && token !== '') return token
  return refuse(
    `the kubelet gave no token of the service account for ${tokenAudience}: the CSIDriver object has to ask for it (tokenRequests)`,
  )
}

type Tokens = Readonly<Record<string, { readonly token?: unknown } | undefined>> | null

function tokensFrom(json: string | undefined): Tokens {
  try {
    return JSON.parse(json ?? 'null') as Tokens
  } catch {
    /* what the parser says of it shows a part of the token */
    return refuse(`${tokensKey}: what the kubelet gave is no JSON`)
  }
}
