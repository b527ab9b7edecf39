import { GenericContainer, type StartedTestContainer, Wait } from 'testcontainers';

export type ServiceName = 'dss' | 'dcs' | 'dws';

/** Nobody's on purpose: an image that runs as any user runs as its own. */
export const OTHER_USER = '12345:12345';

export function imageNameOf(service: ServiceName): string {
  return `ditto-${service}:test`;
}

/** A service under the strictest terms: nothing can be written to its file system, and its user owns nothing in it. */
class ServiceContainer extends GenericContainer {
  constructor(service: ServiceName, configuration: string) {
    super(imageNameOf(service));
    this.hostConfig.ReadonlyRootfs = true;
    this.withUser(OTHER_USER)
      .withNetworkMode('host')
      .withBindMounts([{ source: configuration, target: '/etc/ditto/ditto.yaml', mode: 'ro' }])
      .withWaitStrategy(Wait.forHealthCheck())
      .withStartupTimeout(180_000);
  }
}

/** Resolves when the container is healthy. The servers of the tests listen on loopback: it shares this machine's. */
export async function startService(
  service: ServiceName,
  configuration: string,
  memoryMib: number,
): Promise<StartedTestContainer> {
  return new ServiceContainer(service, configuration).withResourcesQuota({ memory: memoryMib / 1024 }).start();
}
