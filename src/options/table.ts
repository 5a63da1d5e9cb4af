/**
 * The one table of options. Layer: below the composition root; the command line parses by it, and `--help`
 * and the documents print it.
 *
 * Invariant: an option exists exactly when it has a row here, and every row's value is handed to the
 * composition root or, for the last group, to the command line.
 */
import {
  count,
  directoryPath,
  duration,
  list,
  oneOf,
  permissionMask,
  size,
  text,
  namePrefix,
} from './values.ts'

interface Row<Value> {
  /** `--flag`, and `-o flag` as well; undefined: only with `-o`. */
  readonly flag?: string
  /** One letter: `-f`. */
  readonly short?: string
  /** The name after `-o` where there is no flag. */
  readonly mountOption?: string
  /** What stands for the value in the help; undefined: a switch. */
  readonly argument?: string
  /** Asked in this order when the option is not given. */
  readonly env?: readonly string[]
  /** As one would write it. */
  readonly default?: string
  readonly group: OptionGroup
  readonly help: string
  readonly parse: (text: string) => Value
}

export type OptionGroup = 'Service' | 'Mount' | 'Freshness' | 'Writing' | 'Limits' | 'Running'

function withDefault<Value>(
  row: Row<Value> & { readonly default: string },
): Row<Value> & { readonly default: string } {
  return row
}

const on = (): true => true

export const options = {
  endpoint: {
    flag: 'endpoint',
    argument: 'URL',
    env: ['FOUNDRY_PROJECT_ENDPOINT', 'AZURE_AI_PROJECT_ENDPOINT'],
    group: 'Service',
    help: 'the project: https://ACCOUNT.services.ai.azure.com/api/projects/PROJECT',
    parse: text,
  },
  token: {
    env: ['MOUNT_SESSION_TOKEN'],
    group: 'Service',
    help: 'a fixed bearer token instead of the Azure credentials of this machine (az login, managed identity, …)',
    parse: text,
  },
  isolationKey: {
    flag: 'isolation-key',
    argument: 'KEY',
    env: ['MOUNT_SESSION_ISOLATION_KEY'],
    group: 'Service',
    help: 'the isolation key that the session was made with',
    parse: text,
  },
  userIdentity: {
    flag: 'user-identity',
    argument: 'ID',
    group: 'Service',
    help: 'the user on whose behalf the session was made',
    parse: text,
  },
  caFile: {
    flag: 'ca-file',
    argument: 'PEM',
    group: 'Service',
    help: "certificates to trust besides those of this machine's store and of NODE_EXTRA_CA_CERTS",
    parse: text,
  },
  httpsProxy: {
    env: ['HTTPS_PROXY', 'https_proxy'],
    group: 'Service',
    help: 'the proxy on the way to the service: http://[USER:PASSWORD@]HOST:PORT, or https://…',
    parse: text,
  },
  allProxy: {
    env: ['ALL_PROXY', 'all_proxy'],
    group: 'Service',
    help: 'the same, where there is no HTTPS_PROXY',
    parse: text,
  },
  noProxy: {
    env: ['NO_PROXY', 'no_proxy'],
    group: 'Service',
    help: 'hosts that are reached without it, comma-separated: names with all below them, addresses, ranges (10.0.0.0/8), each with or without a port, or *',
    parse: text,
  },

  subdirectory: {
    mountOption: 'subdir',
    argument: 'PATH',
    group: 'Mount',
    help: 'mount this directory of the session alone, as AGENT/SESSION:PATH does',
    parse: directoryPath,
  },
  sessionStatus: {
    mountOption: 'status',
    argument: 'STATUS',
    group: 'Mount',
    help: 'of an agent: show only the sessions that the service says are in this status: active, idle, …',
    parse: text,
  },
  readOnly: { mountOption: 'ro', group: 'Mount', help: 'mount read-only', parse: on },
  noExec: { mountOption: 'noexec', group: 'Mount', help: 'no file can be run', parse: on },
  sync: {
    mountOption: 'sync',
    group: 'Mount',
    help: 'close(2), and whatever names or removes a file, return when the service has it',
    parse: on,
  },
  allowOther: {
    mountOption: 'allow_other',
    group: 'Mount',
    help: 'let other users in (needs user_allow_other in /etc/fuse.conf, unless root)',
    parse: on,
  },
  autoUnmount: {
    mountOption: 'auto_unmount',
    group: 'Mount',
    help: 'unmount by itself should the daemon die',
    parse: on,
  },
  uid: {
    mountOption: 'uid',
    argument: 'N',
    group: 'Mount',
    help: 'owner of all files (default: you)',
    parse: count(0, 2 ** 32 - 2),
  },
  gid: {
    mountOption: 'gid',
    argument: 'N',
    group: 'Mount',
    help: 'group of all files (default: yours)',
    parse: count(0, 2 ** 32 - 2),
  },
  umask: withDefault({
    mountOption: 'umask',
    argument: 'OCTAL',
    default: '022',
    group: 'Mount',
    help: 'permissions that files do not have',
    parse: permissionMask,
  }),
  showSpecial: {
    mountOption: 'show-special',
    group: 'Mount',
    help: 'list .logs and .status in the root',
    parse: on,
  },
  special: withDefault({
    mountOption: 'special',
    argument: 'PREFIX',
    default: '.',
    group: 'Mount',
    help: 'what the names logs and status in the root begin with, where the agent has files named .logs or .status',
    parse: namePrefix,
  }),
  logs: withDefault({
    mountOption: 'logs',
    argument: 'open|always|off',
    default: 'open',
    group: 'Mount',
    help: 'when the console behind .logs is followed: while it is open, always, never',
    parse: oneOf('open', 'always', 'off'),
  }),

  ttlMs: withDefault({
    flag: 'ttl',
    argument: 'TIME',
    default: '2s',
    group: 'Freshness',
    help: 'how old a listing may be; changes by others show within this time; 0: always ask',
    parse: duration,
  }),
  ownTtlMs: withDefault({
    flag: 'own-ttl',
    argument: 'TIME',
    default: '60s',
    group: 'Freshness',
    help: 'how long an upload of our own is taken for current while the listed size agrees',
    parse: duration,
  }),
  contentTtlMs: {
    flag: 'content-ttl',
    argument: 'TIME',
    group: 'Freshness',
    help: 'how long content not proven unchanged is used without asking (default: as --ttl)',
    parse: duration,
  },
  immutable: {
    mountOption: 'immutable',
    group: 'Freshness',
    help: 'content once read is never asked for again while the listed size agrees',
    parse: on,
  },

  timeoutMs: withDefault({
    flag: 'timeout',
    argument: 'TIME',
    default: '120s',
    group: 'Writing',
    help: 'how long fsync, sync and unmount wait without any progress',
    parse: duration,
  }),
  dirtyExpireMs: withDefault({
    flag: 'dirty-expire',
    argument: 'TIME',
    default: '30s',
    group: 'Writing',
    help: 'a file that stays open is uploaded this long after it was written',
    parse: duration,
  }),
  maxFileBytes: withDefault({
    flag: 'max-file-size',
    argument: 'SIZE',
    default: '52428800',
    group: 'Writing',
    help: 'the largest file the service takes; a write beyond it fails with EFBIG',
    parse: size,
  }),
  localNames: withDefault({
    flag: 'local-names',
    argument: 'GLOB,…',
    default: '.*.sw?,.#*,4913',
    group: 'Writing',
    help: 'names of files that are never uploaded (scratch files of editors)',
    parse: list,
  }),
  ignore: withDefault({
    flag: 'ignore',
    argument: 'GLOB,…',
    default: '',
    group: 'Writing',
    help: 'patterns as in .gitignore: what is new at or below such a path (node_modules, __pycache__) stays on this machine',
    parse: list,
  }),
  ignoreFrom: {
    flag: 'ignore-from',
    argument: 'FILE',
    group: 'Writing',
    help: 'more of them, a line each, as a .gitignore has them; a file of this machine, read when it is mounted',
    parse: text,
  },
  conflict: withDefault({
    mountOption: 'conflict',
    argument: 'keep|overwrite',
    default: 'keep',
    group: 'Writing',
    help: "what happens to somebody else's newer content: saved as NAME.conflict-TIME, or overwritten",
    parse: oneOf('keep', 'overwrite'),
  }),
  renameLimit: withDefault({
    flag: 'rename-limit',
    argument: 'N',
    default: '1000',
    group: 'Writing',
    help: 'files in a directory that can be renamed in one call; beyond it mv(1) copies',
    parse: count(0),
  }),

  uploads: withDefault({
    flag: 'uploads',
    argument: 'N',
    default: '128',
    group: 'Limits',
    help: 'uploads at once, at most: how many the service and the link bear is found out',
    parse: count(1, 256),
  }),
  downloads: withDefault({
    flag: 'downloads',
    argument: 'N',
    default: '128',
    group: 'Limits',
    help: 'downloads at once, and as many listings, at most',
    parse: count(1, 256),
  }),
  cacheBytes: withDefault({
    flag: 'cache-size',
    argument: 'SIZE',
    default: '1G',
    group: 'Limits',
    help: 'disk used for downloaded content',
    parse: size,
  }),
  logBytes: withDefault({
    flag: 'log-size',
    argument: 'SIZE',
    default: '64M',
    group: 'Limits',
    help: 'size at which .logs starts again; what it held until then is kept once more',
    parse: size,
  }),

  restart: withDefault({
    flag: 'restart',
    argument: 'on|off',
    default: 'on',
    group: 'Running',
    help: 'start the daemon again when it ends unexpectedly, under the programs that use the mount (Linux 6.9)',
    parse: oneOf('on', 'off'),
  }),
  foreground: { flag: 'foreground', short: 'f', group: 'Running', help: 'stay in the foreground', parse: on },
  logLevel: withDefault({
    flag: 'log-level',
    argument: 'LEVEL',
    default: 'info',
    group: 'Running',
    help: 'trace, debug, info, warn, error or silent; trace: each request of the kernel, each call of the service',
    parse: oneOf('trace', 'debug', 'info', 'warn', 'error', 'silent'),
  }),
  logFile: {
    flag: 'log-file',
    argument: 'FILE',
    group: 'Running',
    help: "where to log (default: mount.log in the session's state directory; with -f the terminal)",
    parse: text,
  },
  traceFile: {
    flag: 'trace',
    argument: 'FILE',
    group: 'Running',
    help: 'for a bug report: the whole log with all requests and calls, names but neither contents nor tokens',
    parse: text,
  },
} as const satisfies Readonly<Record<string, Row<unknown>>>

export type OptionName = keyof typeof options

/** What each option's value is: always there with a default, a boolean for a switch, else perhaps undefined. */
export type OptionValues = {
  readonly [Name in OptionName]: (typeof options)[Name] extends { readonly parse: () => true }
    ? boolean
    : (typeof options)[Name] extends { readonly default: string }
      ? ReturnType<(typeof options)[Name]['parse']>
      : ReturnType<(typeof options)[Name]['parse']> | undefined
}

/** The rows of the table, alike, for those who go through all of them. */
export type OptionRow = Row<unknown>
export const optionRows = Object.entries(options) as readonly (readonly [OptionName, OptionRow])[]

/** Every option as it is when nobody says anything. */
export function defaultValues(): OptionValues {
  const values = optionRows.map(([name, row]): [string, unknown] => {
    const isSwitch = row.argument === undefined && row.env === undefined
    return [name, isSwitch ? false : row.default === undefined ? undefined : row.parse(row.default)]
  })
  return Object.fromEntries(values) as OptionValues
}
