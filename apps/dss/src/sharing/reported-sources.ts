import { type ServiceStatus } from '#dcs-client';

/** What a DSS reports of a source that it knows, whoever owns it. */
export interface ReportedSource {
  readonly name: string;
  /** Whether its owner lets it go to another instance; missing in reports of earlier versions. */
  readonly movable?: boolean;
}

export function sourcesOf({ details }: Pick<ServiceStatus, 'details'>): readonly ReportedSource[] {
  return (details['sources'] ?? []) as readonly ReportedSource[];
}
