/** Things by key, the least recently used dropped when all together hold more bytes than allowed. */
export class ByteLru<T> {
  private readonly held = new Map<string, { value: T; size: number }>();
  private readonly most: number;
  private total = 0;

  constructor(most: number) {
    this.most = most;
  }

  get(key: string): T | undefined {
    const entry = this.held.get(key);
    if (!entry) return undefined;
    this.held.delete(key);
    this.held.set(key, entry); // a Map keeps the order of insertion: this makes it the newest
    return entry.value;
  }

  /** The newest is kept even if it alone is too large: it is being looked at. */
  put(key: string, value: T, size: number): void {
    this.drop(key);
    this.held.set(key, { value, size });
    this.total += size;
    for (const oldest of this.held.keys()) {
      if (this.total <= this.most || oldest === key) break;
      this.drop(oldest);
    }
  }

  clear(): void {
    this.held.clear();
    this.total = 0;
  }

  get bytes(): number {
    return this.total;
  }

  private drop(key: string): void {
    this.total -= this.held.get(key)?.size ?? 0;
    this.held.delete(key);
  }
}
