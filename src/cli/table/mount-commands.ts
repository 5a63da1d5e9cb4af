/**
 * The commands about mounts of this machine. Layer: cli.
 *
 * Invariant: data only.
 */
import { duration } from '../../options/values.ts'
import { jsonOption, type CommandRow } from './command-row.ts'

const mountedDirectory = {
  name: 'DIR',
  help: 'the mounted directory, or anything in it',
  completes: 'mount',
} as const

export const mountCommands = {
  unmount: {
    usage: 'unmount DIR',
    help: 'uploads what is waiting, then unmounts',
    description: 'Uploads what is waiting, then unmounts. Fails, and leaves DIR mounted, when it cannot.',
    arguments: [{ name: 'DIR', help: 'the mounted directory', completes: 'mount' }],
    options: {
      timeout: {
        flag: 'timeout',
        argument: 'TIME',
        help: 'give up after this time (default: when nothing moves for the --timeout of the mount)',
        parse: duration,
      },
      force: {
        flag: 'force',
        help: 'neither wait for uploads nor for those who use it; what is left goes up with the next mount',
      },
    },
    takes: [],
    examples: [
      { line: 'mount-session unmount /mnt/s', help: 'upload what is left, then unmount' },
      {
        line: 'mount-session unmount --force /mnt/s',
        help: 'at once; what is left goes up with the next mount',
      },
    ],
  },
  sync: {
    usage: 'sync DIR [PATH]',
    help: 'returns when the service has everything, or everything below PATH',
    description: 'Returns when the service has everything; fails while something could not be uploaded.',
    arguments: [
      mountedDirectory,
      {
        name: '[PATH]',
        help: 'wait only for what is at or below this, relative to DIR',
        completes: 'file',
      },
    ],
    options: {},
    takes: [],
    examples: [{ line: 'mount-session sync /mnt/s', help: 'wait until the service has everything' }],
  },
  restart: {
    usage: 'restart DIR',
    help: 'goes on with a new daemon, of this version of the program, without unmounting',
    description:
      'Starts a new daemon for the mount, of the program that this command is: the old one answers what is in hand, then the new one goes on. Programs that use DIR notice a pause. When the new one cannot, the old one stays.',
    arguments: [mountedDirectory],
    options: {},
    takes: [],
    examples: [
      { line: 'mount-session restart /mnt/s', help: 'after an update, under the programs that use it' },
    ],
  },
  status: {
    usage: 'status DIR',
    help: 'what is waiting, uploading or refused',
    description:
      'What is waiting, uploading or refused, and how the service answers. With --watch again each second, on a ' +
      'terminal in its place, otherwise one report after the other; Ctrl-C ends it with 0, and so does an unmount.',
    arguments: [mountedDirectory],
    options: {
      json: { flag: 'json', help: 'as one JSON object, times in milliseconds' },
      watch: { flag: 'watch', short: 'w', help: 'again each second, until Ctrl-C' },
      retry: { flag: 'retry', help: 'try everything again now that waits or was refused' },
      discard: {
        flag: 'discard',
        argument: 'PATH',
        help: "give up the changes at and below PATH: the service's content shows again",
        completes: 'file',
      },
      yes: { flag: 'yes', help: 'do not ask before changes are given up' },
    },
    takes: [],
    examples: [
      { line: 'mount-session status /mnt/s', help: 'what waits, uploads, or was refused' },
      { line: 'mount-session status --watch /mnt/s', help: 'the same, live' },
    ],
  },
  list: {
    usage: 'list',
    help: 'every mount of this user',
    description:
      'Every mount of this user: the session, its directory, how many changes wait, and its state: ready; paused, and ' +
      'why; detached, when it was unmounted and still uploads; ended, when its daemon was killed; silent, when its ' +
      'daemon does not answer within 3 seconds. --json is a list of {agent, session, subdirectory, directory, pid, ' +
      'state, reason, pausedSeconds, pending, pendingBytes}; what is not known is null, and so is the session where all ' +
      'of the agent are mounted.',
    arguments: [],
    options: { json: jsonOption },
    takes: [],
    examples: [{ line: 'mount-session list', help: 'what is mounted, and what waits there' }],
  },
  recover: {
    usage: 'recover [AGENT/[SESSION]]',
    help: 'uploads what a dead mount left behind, without mounting',
    description:
      'Uploads what a dead mount left behind, without mounting. Of several sessions those that a daemon has are passed over.',
    arguments: [
      {
        name: '[AGENT/[SESSION]]',
        help: 'the session; AGENT/: all of the agent (default: every session of this user that something is left of)',
        completes: 'session',
      },
    ],
    options: {
      export: {
        flag: 'export',
        argument: 'DIR',
        help: 'copy what is left to DIR instead, also what was set aside; nothing is uploaded',
        completes: 'directory',
      },
      discard: { flag: 'discard', help: 'give up what is left; asks first' },
      yes: { flag: 'yes', help: 'do not ask' },
    },
    takes: [
      ...(['endpoint', 'isolationKey', 'userIdentity', 'caFile'] as const),
      ...(['uploads', 'downloads', 'timeoutMs', 'maxFileBytes', 'localNames', 'logLevel'] as const),
    ],
    examples: [
      { line: 'mount-session recover', help: 'upload what dead mounts left' },
      { line: 'mount-session recover --export kept', help: 'copy it to ./kept instead' },
    ],
  },
} as const satisfies Readonly<Record<string, CommandRow>>
