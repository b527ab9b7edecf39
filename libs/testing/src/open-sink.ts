import { type ChangeSink, QuarantinedKeys, type SinkOpenOptions } from '#replication';

/** Opens a sink that may deliver and stops at what it refuses, unless the options say otherwise. */
export function openSink(sink: ChangeSink, options: Partial<SinkOpenOptions> = {}): Promise<void> {
  return sink.open({
    onFatal: () => undefined,
    refuse: (_refused, error) => Promise.reject(error),
    quarantined: new QuarantinedKeys(),
    mayDeliver: () => true,
    signal: new AbortController().signal,
    ...options,
  });
}
