/**
 * Jest runs the TypeScript sources as ES modules, compiled by SWC (types are checked by `npm run check`, not here).
 *
 * Two projects: `unit` runs in parallel; `interop` starts real daemons and therefore runs one file at a time
 * (scripts/test.mjs runs it in a second pass with --runInBand).
 */
const shared = {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  // Sources import each other with the `.js` ending that Node needs; jest must find the `.ts` behind it.
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { parser: { syntax: 'typescript' }, target: 'es2022', keepClassNames: true },
        module: { type: 'es6' },
        sourceMaps: 'inline',
        swcrc: false,
      },
    ],
  },
  setupFiles: ['<rootDir>/test/setup.ts'],
  restoreMocks: true,
};

/** @type {import('jest').Config} */
export default {
  coverageProvider: 'v8',
  collectCoverageFrom: ['src/**/*.ts'],
  workerIdleMemoryLimit: '1GB',
  // Only for what hangs: a slow machine must not make a test fail.
  testTimeout: 60_000,
  projects: [
    {
      ...shared,
      displayName: 'unit',
      testMatch: ['<rootDir>/test/**/*.test.ts'],
      testPathIgnorePatterns: ['/node_modules/', '<rootDir>/test/interop/'],
    },
    {
      ...shared,
      displayName: 'interop',
      testMatch: ['<rootDir>/test/interop/**/*.test.ts'],
      testTimeout: 60_000,
    },
  ],
};
