/**
 * The files of one session on the service. Layer: client; the implementation of `SessionFiles` that sends.
 *
 * Invariant: `recursive` is never sent: whoever removes a directory here has emptied it.
 */
import type { Identity } from './client-options.ts'
import type { SessionClient } from './session-client.ts'
import type { CallOptions, Download, RemoteEntry, SessionFiles, UploadSource } from './session-files.ts'

/** The files of one session, as the layers above use them; `identity` in place of the client's own. */
export function sessionFiles(
  client: SessionClient,
  agent: string,
  session: string,
  identity: Identity = {},
): SessionFiles {
  return new RemoteFiles(client, agent, session, identity)
}

class RemoteFiles implements SessionFiles {
  readonly #client: SessionClient
  readonly #agent: string
  readonly #session: string
  readonly #identity: Identity

  constructor(client: SessionClient, agent: string, session: string, identity: Identity) {
    this.#client = client
    this.#agent = agent
    this.#session = session
    this.#identity = identity
  }

  list(directory: string, options: CallOptions = {}): AsyncIterable<readonly RemoteEntry[]> {
    return this.#client.listSessionFilePages(this.#agent, this.#session, directory, this.#with(options))
  }

  download(path: string, options: CallOptions = {}): Promise<Download> {
    return this.#client.downloadSessionFile(this.#agent, this.#session, path, this.#with(options))
  }

  async upload(path: string, source: UploadSource, options: CallOptions = {}): Promise<void> {
    await this.#client.uploadSessionFile(this.#agent, this.#session, path, source, this.#with(options))
  }

  async remove(path: string, options: CallOptions = {}): Promise<void> {
    await this.#client.deleteSessionFile(this.#agent, this.#session, path, this.#with(options))
  }

  async makeDirectory(path: string, options: CallOptions = {}): Promise<void> {
    await this.#client.makeSessionDirectory(this.#agent, this.#session, path, this.#with(options))
  }

  #with({ signal, retry, priority, expectedBytes, onProgress }: CallOptions): CallOptions & Identity {
    return { ...this.#identity, signal, retry, priority, expectedBytes, onProgress }
  }
}
