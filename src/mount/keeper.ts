/**
 * Who holds the mount while no daemon does: a small shell that waits for the end of this process, and starts the next.
 * Layer: mount; `cli/keeper.ts` is the one of the command line.
 */

export interface MountDescriptors {
  /** Of /dev/fuse. */
  readonly fuse: number
  /** With `auto_unmount`: fusermount3 unmounts when nobody has it open any more. */
  readonly watch: number | undefined
}

export interface Keeper {
  /** The process that ends with the mount; undefined when it could not be started. */
  readonly pid: number | undefined
  /** The mount is over, or is not to be kept: it ends. Any number of times. */
  done(): void
  /**
   * Starts the daemon of another program, which waits for its turn. Resolves when it has said that it can go on with
   * the mount; rejects, with its words, when it cannot.
   */
  prepare(command: readonly string[]): Promise<Successor>
}

export interface Successor {
  readonly pid: number
  /** It is its turn: everything is let go of. Ends this process. */
  handOver(): void
}

/** Begins to keep a mount that is served; `device`: its own in the kernel's mount table. */
export type Keep = (descriptors: MountDescriptors, device: string | undefined) => Keeper

/** How a mount comes to another process. */
export interface Takeover extends MountDescriptors {
  /** Why the one before ended, in words. */
  readonly why: string
  /** The one before lives, and waits for this one to say that it can. */
  readonly isHandedOver: boolean
}
