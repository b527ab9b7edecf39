/**
 * How a service's memory is asked for, as the Dockerfile has it. glibc raises the size from which memory is given back
 * at once with each larger buffer that is freed; after a few rows of megabytes their memory is kept, in pieces. Below
 * this size are the buffers of the network, which would cost too much.
 */
export const allocatorSettings = { MALLOC_MMAP_THRESHOLD_: '131072' } as const;
