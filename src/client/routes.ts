/**
 * The service's routes, all below the project's endpoint. Layer: client.
 *
 * Invariant: every name is one encoded segment; none can lead to another resource than the one it names.
 */
import { segment } from './endpoint.ts'

export class Routes {
  readonly #basePath: string

  constructor(basePath: string) {
    this.#basePath = basePath
  }

  agent(agent: string): string {
    return `${this.#basePath}/agents/${segment('an agent', agent)}`
  }

  sessions(agent: string): string {
    return `${this.agent(agent)}/endpoint/sessions`
  }

  session(agent: string, session: string): string {
    return `${this.sessions(agent)}/${segment('a session', session)}`
  }

  stop(agent: string, session: string): string {
    return `${this.session(agent, session)}:stop`
  }

  files(agent: string, session: string): string {
    return `${this.session(agent, session)}/files`
  }

  content(agent: string, session: string): string {
    return `${this.files(agent, session)}/content`
  }

  mkdir(agent: string, session: string): string {
    return `${this.files(agent, session)}/mkdir`
  }

  /** With a version the documented form, without one that of the service's own command line. */
  logStream(agent: string, session: string, version: string | undefined): string {
    const parent = version === undefined ? '' : `/versions/${segment('a version', version)}`
    return `${this.agent(agent)}${parent}/sessions/${segment('a session', session)}:logstream`
  }
}
