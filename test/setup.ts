/**
 * Runs before every test file.
 *
 * Without `--experimental-vm-modules` jest silently compiles everything to CommonJS, where top-level await and
 * import.meta do not exist and some libraries load another build than in production. Refuse to run that way.
 */
if (typeof require !== 'undefined') {
  throw new Error(
    'tests must run as ES modules: use `npm test` or `node --experimental-vm-modules node_modules/jest/bin/jest.js`',
  );
}
