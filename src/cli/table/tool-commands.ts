/**
 * The commands beside sessions and mounts. Layer: cli.
 *
 * Invariant: data only.
 */
import { options as table } from '../../options/table.ts'
import { count, duration, oneOf, size } from '../../options/values.ts'
import { serviceOptions, type CommandRow } from './command-row.ts'

export const toolCommands = {
  emulator: {
    usage: 'emulator',
    help: 'serves the REST surface of the service from a local directory',
    description:
      'Serves the REST surface of the service from a local directory, for tests and for trying things out.',
    arguments: [],
    options: {
      data: {
        flag: 'data',
        argument: 'DIR',
        required: true,
        help: 'where agents, sessions and files are kept; made when missing',
        completes: 'directory',
      },
      host: { flag: 'host', argument: 'HOST', help: 'address to listen on (default: 127.0.0.1)' },
      port: {
        flag: 'port',
        argument: 'N',
        help: 'port to listen on; 0 takes a free one (default: 0)',
        parse: count(0, 65_535),
      },
      token: { flag: 'token', argument: 'TOKEN', help: 'the bearer token to accept (default: a random one)' },
      seed: {
        flag: 'seed',
        argument: 'AGENT/SESSION',
        many: true,
        help: 'make this session if it does not exist; several times for several',
      },
      empty: { flag: 'empty', help: 'seed without the small agent workspace' },
      heartbeat: {
        flag: 'heartbeat',
        argument: 'TIME',
        help: 'append a line to the console of the seeded sessions this often',
        parse: duration,
      },
      logFrom: {
        flag: 'log-from',
        argument: 'FILE',
        help: 'append the lines of FILE, as it grows, to the console of the seeded sessions; - is stdin',
        completes: 'file',
      },
      latency: {
        flag: 'latency',
        argument: 'MS',
        help: 'milliseconds added before every request is looked at (default: 0)',
        parse: count(0),
      },
      pageSize: {
        flag: 'page-size',
        argument: 'N',
        help: 'no page of a listing is longer (default: 100)',
        parse: count(1, 100),
      },
      maxFileSize: {
        flag: 'max-file-size',
        argument: 'SIZE',
        help: `larger uploads are refused with 413 (default: ${table.maxFileBytes.default})`,
        parse: size,
      },
      modifiedTime: {
        flag: 'modified-time',
        argument: 'real|zero',
        help: 'what listings say of modification times (default: zero)',
        parse: oneOf('real', 'zero'),
        completes: ['real', 'zero'],
      },
      extras: { flag: 'extras', help: 'serve files/mkdir and files/stat as well' },
      requestsPerSecond: {
        flag: 'requests-per-second',
        argument: 'N',
        help: 'more are refused with 429 (default: no limit)',
        parse: count(1),
      },
      idleAfter: {
        flag: 'idle-after',
        argument: 'TIME',
        help: 'sessions without a call for this long go to sleep (default: never)',
        parse: duration,
      },
      wake: {
        flag: 'wake',
        argument: 'TIME',
        help: 'how long a sleeping session answers 424 while it wakes (default: 0)',
        parse: duration,
      },
      tls: { flag: 'tls', help: 'serve https with a generated certificate' },
      json: {
        flag: 'json',
        help: 'print one line of JSON, not one for reading: endpoint, token, certificate, data, pid',
      },
    },
    takes: [],
    examples: [
      {
        line: 'mount-session emulator --data service --seed triage/demo-session',
        help: 'a service of one session; what it prints goes into the environment',
      },
    ],
  },
  doctor: {
    usage: 'doctor [AGENT/SESSION]',
    help: 'looks for what is in the way of mounting, and says what to do',
    description:
      'Looks at this machine (FUSE, Node, directories, mounts and changes left behind) and at the way to the service ' +
      '(name, proxy, certificates, round trip, clock, login, role), and with AGENT/SESSION at that session. Changes nothing. ' +
      'The exit code is 1 when something would fail. --json is {surroundings, checks: [{check, level, message, remedy, values}]}.',
    arguments: [{ name: '[AGENT/SESSION]', help: 'a session to look at as well', completes: 'session' }],
    options: { json: { flag: 'json', help: 'as JSON' } },
    takes: serviceOptions,
    examples: [
      { line: 'mount-session doctor', help: 'this machine and the endpoint' },
      { line: 'mount-session doctor triage/demo-session', help: 'and a session' },
    ],
  },
  completion: {
    usage: 'completion bash|zsh|fish',
    help: 'a script that completes commands, options, sessions and remote paths',
    description:
      'Prints a script for your shell. Commands and options are completed by this program, agents by what it knows of ' +
      'them on this machine, sessions and their paths by asking the service, which is waited for 1.5 s at most.',
    arguments: [{ name: 'SHELL', help: 'bash, zsh or fish', completes: ['bash', 'zsh', 'fish'] }],
    options: {},
    takes: [],
    examples: [
      { line: 'eval "$(mount-session completion bash)"', help: 'in ~/.bashrc' },
      { line: 'source <(mount-session completion zsh)', help: 'in ~/.zshrc, after compinit' },
      { line: 'mount-session completion fish | source', help: 'in ~/.config/fish/config.fish' },
    ],
  },
  help: {
    usage: 'help [COMMAND]',
    help: 'how to use a command',
    description: 'How to use a command: the same as COMMAND --help.',
    arguments: [{ name: '[COMMAND]', help: 'its name', completes: 'command' }],
    options: {},
    takes: [],
    examples: [{ line: 'mount-session help sync', help: 'how to use sync' }],
  },
} as const satisfies Readonly<Record<string, CommandRow>>
