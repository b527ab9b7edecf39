import { asRowChanges, type RowChange } from '#change-events';
import { type Acknowledgement, type ChangeSink } from '#replication';

/** Gives a sink these changes, one by one in their order, and starts their delivery. */
export function acceptChanges(sink: ChangeSink, changes: readonly RowChange[], acknowledgement: Acknowledgement): void {
  for (const change of changes) sink.accept(asRowChanges(change), acknowledgement);
  sink.flush();
}
