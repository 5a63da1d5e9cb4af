/**
 * The few calls of the Kubernetes API that the driver makes, as the service account of its Pod. Layer: csi.
 *
 * A client library of the whole API would be thirty megabytes of an image for five calls of JSON; connections and
 * their certificates are undici's.
 *
 * Invariant: a failure is a `CsiError` that says which call, and what the cluster said; the token is read anew for
 * each call, since the kubelet renews it.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { CsiError } from './csi-error.ts'

const accountDirectory = '/var/run/secrets/kubernetes.io/serviceaccount'
const answerWithinMs = 20_000

/** As the API has it; nobody here reads more. */
export interface PodObject {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string }
  readonly spec?: {
    readonly containers?: readonly {
      readonly name?: string
      readonly image?: string
      readonly imagePullPolicy?: string
    }[]
    readonly imagePullSecrets?: readonly { readonly name: string }[]
  }
  readonly status?: {
    readonly phase?: string
    readonly message?: string
    readonly conditions?: readonly { readonly status: string; readonly message?: string }[]
    readonly containerStatuses?: readonly {
      readonly state?: { readonly waiting?: { readonly reason?: string; readonly message?: string } }
    }[]
  }
}

export interface ClusterOptions {
  /** `https://HOST:PORT` */
  readonly server: string
  /** Of the service account: `token`, `ca.crt`, `namespace`. */
  readonly accountDirectory: string
}

/** Where a process in a Pod finds it; undefined elsewhere. */
export function clusterOfPod(env: Readonly<Record<string, string | undefined>>): ClusterOptions | undefined {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = env
  if (host === undefined || host === '') return undefined
  return { server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`, accountDirectory }
}

export class Cluster {
  /** The namespace of the driver's Pod. */
  readonly namespace: string
  readonly #server: string
  readonly #directory: string
  readonly #agent: Agent

  constructor({ server, accountDirectory: directory }: ClusterOptions) {
    this.#server = server
    this.#directory = directory
    this.namespace = readFileSync(join(directory, 'namespace'), 'utf8').trim()
    this.#agent = new Agent({ connect: { ca: readFileSync(join(directory, 'ca.crt'), 'utf8') } })
  }

  async createPod(namespace: string, pod: object): Promise<void> {
    await this.#call('POST', `/api/v1/namespaces/${namespace}/pods`, pod)
  }

  async getPod(namespace: string, name: string): Promise<PodObject> {
    return (await this.#call('GET', `/api/v1/namespaces/${namespace}/pods/${name}`)) as PodObject
  }

  /** Those of a label, `NAME=VALUE`, on one node. */
  async listPods(
    namespace: string,
    { label, nodeName }: { readonly label: string; readonly nodeName: string },
  ): Promise<readonly PodObject[]> {
    const query = new URLSearchParams({ labelSelector: label, fieldSelector: `spec.nodeName=${nodeName}` })
    const path = `/api/v1/namespaces/${namespace}/pods?${query.toString()}`
    const { items } = (await this.#call('GET', path)) as { readonly items: readonly PodObject[] }
    return items
  }

  /** Gone already: done. */
  async deletePod(namespace: string, name: string, graceSeconds: number): Promise<void> {
    const options = { kind: 'DeleteOptions', apiVersion: 'v1', gracePeriodSeconds: graceSeconds }
    await this.#call('DELETE', `/api/v1/namespaces/${namespace}/pods/${name}`, options, [404])
  }

  async createEvent(namespace: string, event: object): Promise<void> {
    await this.#call('POST', `/api/v1/namespaces/${namespace}/events`, event)
  }

  async close(): Promise<void> {
    await this.#agent.close()
  }

  async #call(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    sent?: object,
    alsoFine: readonly number[] = [],
  ): Promise<unknown> {
    const what = `${method} ${path.split('?', 1)[0] ?? path}`
    try {
      const token = readFileSync(join(this.#directory, 'token'), 'utf8').trim()
      const { statusCode, body } = await request(`${this.#server}${path}`, {
        method,
        dispatcher: this.#agent,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: sent === undefined ? null : JSON.stringify(sent),
        signal: AbortSignal.timeout(answerWithinMs),
      })
      const text = await body.text()
      if (statusCode < 300) return JSON.parse(text)
      if (alsoFine.includes(statusCode)) return undefined
      throw new CsiError(
        statusCode === 403 ? 'permissionDenied' : 'unavailable',
        refusal(what, statusCode, text),
      )
    } catch (error) {
      if (error instanceof CsiError) throw error
      throw new CsiError('unavailable', `the cluster does not answer ${what}: ${(error as Error).message}`, {
        cause: error,
      })
    }
  }
}

function refusal(what: string, statusCode: number, text: string): string {
  let said = text.slice(0, 200)
  try {
    said = (JSON.parse(text) as { readonly message?: string }).message ?? said
  } catch {
    /* a proxy's page: its beginning will do */
  }
  return `the cluster refused ${what} with ${statusCode}: ${said.replaceAll(/\s+/g, ' ')}`
}
