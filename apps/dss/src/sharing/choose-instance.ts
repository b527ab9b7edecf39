import { type LeaseHolder, type ServiceStatus } from '#dcs-client';
import { RequestError } from '#platform';
import { sourcesOf } from './reported-sources.ts';

/** What DCS says about who runs what. */
export interface InstanceDirectory {
  listServices(): Promise<readonly ServiceStatus[]>;
  listLeases(): Promise<readonly LeaseHolder[]>;
}

/** The full name of the one instance of DSS that is called so, or whose host is, and that has the source. */
export function chooseInstance(services: readonly ServiceStatus[], source: string, called: string): string {
  const all = services.filter(({ service }) => service === 'dss');
  const fitting = all.filter(({ instance }) => instance === called || instance.startsWith(`${called}/`));
  const [only, second] = fitting;
  if (only === undefined || second !== undefined)
    throw new RequestError(
      409,
      'DITTO_INSTANCE_UNKNOWN',
      only === undefined ? `no DSS is called ${called}` : `more than one DSS is called ${called}`,
      { remedy: `Name one of: ${all.map(({ instance }) => instance).join(', ')}.` },
    );
  if (!sourcesOf(only).some(({ name }) => name === source))
    throw new RequestError(409, 'DITTO_INSTANCE_UNKNOWN', `${only.instance} has no source ${source}`, {
      remedy: 'Add the source to its configuration and restart it, or name another instance.',
    });
  return only.instance;
}
