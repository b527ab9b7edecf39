export { testStack, testStackVariable, uniqueName } from './servers.ts';
export { acceptChanges } from './accept-changes.ts';
