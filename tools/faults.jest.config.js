import jestConfig from '../jest.config.js';

const [{ transform, ...unit }] = jestConfig.projects;
const [[files, [, swc]]] = Object.entries(transform);

/** @type {import('jest').Config} the specs, with the fault that DITTO_FAULT has */
export default {
  ...unit,
  displayName: undefined,
  rootDir: '..',
  roots: ['<rootDir>/apps', '<rootDir>/libs', '<rootDir>/test', '<rootDir>/tools'],
  setupFiles: [...unit.setupFiles, '<rootDir>/tools/faults.setup.ts'],
  transform: { [files]: ['<rootDir>/tools/faulty-transformer.ts', swc] },
  testTimeout: jestConfig.testTimeout,
  cacheDirectory: '<rootDir>/.cache/faults/transformed',
};
