/** Who may run a source, until when. */
export class LeaseDto {
  readonly source!: string;
  readonly owner!: string;
  /** Fencing token; null while it is being granted. */
  readonly token!: number | null;
  readonly expiresInMs!: number;
}

export class LeasesDto {
  readonly leases!: LeaseDto[];
}
