/**
 * One condition for readiness. Every provider of the application that extends this class is asked at `/health/ready`; it
 * needs no registration.
 */
export abstract class ReadinessIndicator {
  /** Unique within the service. */
  abstract readonly name: string;
  /**
   * Resolves with what is worth showing when the condition holds, rejects when it does not. An answer that takes longer
   * than two seconds counts as a rejection.
   */
  abstract check(): Promise<Readonly<Record<string, unknown>>>;
}
