/** Every way in which opening a share can fail. The person reads lib/texts.ts, never these names. */
export type ErrorCode =
  | "link_absent"
  | "link_mistyped"
  | "link_unknown"
  | "link_expired"
  | "link_revoked"
  | "link_locked"
  | "wrong_factor"
  | "token_unknown"
  | "manifest_pending"
  | "object_unknown"
  | "too_many_requests"
  | "unreachable"
  | "vault_failed"
  | "altered"
  | "cannot_draw"
  | "out_of_memory"
  | "cancelled";

export class PageError extends Error {
  readonly code: ErrorCode;
  /** Tries left, where the vault said so. */
  readonly triesLeft: number | undefined;
  readonly retryAfterS: number | undefined;

  constructor(code: ErrorCode, detail = "", more: { triesLeft?: number; retryAfterS?: number } = {}) {
    super(detail ? `${code}: ${detail}` : code);
    this.code = code;
    this.triesLeft = more.triesLeft;
    this.retryAfterS = more.retryAfterS;
  }
}

/** The bytes are not what the box wrote: show no pixel of them. */
export function altered(detail: string): PageError {
  return new PageError("altered", detail);
}

export function codeOf(error: unknown): ErrorCode {
  if (error instanceof PageError) return error.code;
  return error instanceof RangeError ? "out_of_memory" : "cannot_draw";
}
