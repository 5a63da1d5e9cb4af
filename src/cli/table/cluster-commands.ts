/**
 * The command that serves Kubernetes. Layer: cli.
 *
 * Invariant: data only.
 */
import { options as table } from '../../options/table.ts'
import { duration, userAndGroup } from '../../options/values.ts'
import type { CommandRow } from './command-row.ts'

export const clusterCommands = {
  csi: {
    usage: 'csi',
    help: 'the driver that gives sessions to the Pods of Kubernetes as volumes',
    description:
      'Serves the container storage interface on a node: registers with the kubelet, mounts sessions for the Pods that ask for ' +
      'them, makes and deletes sessions for volume claims. Each session is served by a mount Pod without privileges that ' +
      'this driver starts; either of the two may be replaced under running Pods. Runs as root, in the foreground.',
    arguments: [],
    options: {
      inProcess: {
        flag: 'in-process',
        help: 'serve the volumes from processes beside the driver, not from mount Pods: they end with it, and running Pods lose them',
      },
      kubeletDirectory: {
        flag: 'kubelet-dir',
        argument: 'DIR',
        help: "the kubelet's directory, the same here as on the node (default: /var/lib/kubelet)",
        completes: 'directory',
      },
      socket: {
        flag: 'socket',
        argument: 'PATH',
        help: 'where to listen (default: plugins/csi.mount-session/csi.sock in the directory of the kubelet)',
        completes: 'file',
      },
      noRegistration: {
        flag: 'no-registration',
        help: 'do not register with the kubelet: beside an external-provisioner, or for tests',
      },
      node: { flag: 'node', argument: 'NAME', help: 'of this node (env: NODE_NAME; default: the host name)' },
      stateDirectory: {
        flag: 'state-dir',
        argument: 'DIR',
        help: 'on a disk of the node: changes that are not uploaded yet, and caches (default: /var/lib/mount-session)',
        completes: 'directory',
      },
      runDirectory: {
        flag: 'run-dir',
        argument: 'DIR',
        help: 'in memory: sockets and tokens of what is mounted (default: /run/mount-session)',
        completes: 'directory',
      },
      user: {
        flag: 'user',
        argument: 'UID:GID',
        help: 'whom the daemons of volumes run as (default: 65532:65532)',
        parse: userAndGroup,
      },
      drain: {
        flag: 'drain',
        argument: 'TIME',
        help: 'how long a volume that ends waits for its uploads (default: 60s)',
        parse: duration,
      },
      image: {
        flag: 'image',
        argument: 'IMAGE',
        help: "of mount Pods (default: that of the driver's Pod, which POD_NAME or the host name names)",
      },
      namespace: {
        flag: 'namespace',
        argument: 'NAME',
        help: "of mount Pods (default: that of the driver's Pod)",
      },
      caFile: { flag: 'ca-file', argument: 'PEM', help: table.caFile.help, completes: 'file' },
      logLevel: {
        flag: 'log-level',
        argument: 'LEVEL',
        help: 'of the driver and of the daemons: trace, debug, info, warn or error (default: info)',
        parse: table.logLevel.parse,
      },
    },
    takes: [],
    examples: [
      {
        line: 'mount-session csi --in-process --no-registration --socket csi.sock --kubelet-dir kubelet --state-dir state --run-dir run',
        help: 'without a cluster, to try a client of the interface; prints the socket once it listens',
      },
    ],
  },
} as const satisfies Readonly<Record<string, CommandRow>>
