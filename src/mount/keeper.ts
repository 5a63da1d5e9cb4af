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
  /** The mount is over, or is not to be kept: it ends. Any number of times. */
  done(): void
}

/** Begins to keep a mount that is served. */
export type Keep = (descriptors: MountDescriptors) => Keeper

/** How a mount comes to another process. */
export interface Takeover extends MountDescriptors {
  /** Why the one before ended, in words. */
  readonly why: string
}
