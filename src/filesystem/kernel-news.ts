/**
 * What the kernel must be told unasked. Layer: filesystem.
 *
 * Invariant: nothing is told from inside the request that brought it up: the kernel holds locks of that node
 * until it has its answer. What comes together is told once.
 */
import type { KernelCache, NodeId } from './front-end.ts'

type News =
  | { readonly of: 'pages' | 'attributes'; readonly node: NodeId }
  | { readonly of: 'entry'; readonly parent: NodeId; readonly name: string }

export class KernelNews {
  readonly #kernel: KernelCache | undefined
  readonly #waiting = new Map<string, News>()

  constructor(kernel: KernelCache | undefined) {
    this.#kernel = kernel
  }

  /** The bytes of a node are others than the kernel may have. */
  pages(node: NodeId): void {
    this.#tell(`pages ${node}`, { of: 'pages', node })
  }

  attributes(node: NodeId): void {
    this.#tell(`attributes ${node}`, { of: 'attributes', node })
  }

  /** From inside a read that found another size: the kernel is told before it has its bytes. Attributes take no lock. */
  async resized(node: NodeId): Promise<void> {
    await this.#kernel?.invalidateNode(node, -1, 0)
  }

  entry(parent: NodeId, name: string): void {
    this.#tell(`entry ${parent} ${name}`, { of: 'entry', parent, name })
  }

  #tell(key: string, news: News): void {
    if (this.#kernel === undefined) return
    if (this.#waiting.size === 0) setImmediate(() => this.#send(this.#kernel))
    this.#waiting.set(key, news)
  }

  #send(kernel: KernelCache | undefined): void {
    const all = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const news of all) {
      if (news.of === 'entry') kernel?.invalidateEntry(news.parent, news.name)
      else void kernel?.invalidateNode(news.node, news.of === 'pages' ? 0 : -1, 0)
    }
  }
}
