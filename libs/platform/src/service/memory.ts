import { DittoError } from '#kernel';
import { type ServiceName } from './platform.module.ts';

const MIB = 1_048_576;

/** With less a service is killed by the kernel while it starts, or soon after: docs/performance.md says what is used. */
const NEEDED_MIB: Readonly<Record<ServiceName, number>> = { dss: 256, dcs: 128, dws: 128 };

/** `limitBytes`: of the control group of this process, as Node reads it; 0 when there is none. */
export function assertEnoughMemory(name: ServiceName, limitBytes = process.constrainedMemory()): void {
  const neededMib = NEEDED_MIB[name];
  if (limitBytes === 0 || limitBytes >= neededMib * MIB) return;
  throw new DittoError(
    'DITTO_SERVICE_MEMORY',
    `The container may use ${Math.floor(limitBytes / MIB)} MiB of memory; ${name.toUpperCase()} needs ${neededMib} MiB or more`,
    { remedy: `Raise the memory limit of the container: docker run --memory ${neededMib * 2}m, mem_limit in compose.` },
  );
}
