/** One thing that is wrong or risky about a server for Ditto's purpose. */
export interface Problem {
  readonly code: string;
  /** An error keeps the source from starting; a warning weakens a promise. */
  readonly severity: 'error' | 'warning';
  readonly message: string;
  /** What mends it, as SQL where SQL can. */
  readonly remedy: string;
}
