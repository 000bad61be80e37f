import { readFileSync } from 'node:fs';

/** Version of the package, from its manifest two folders up (src/controller and dist/controller alike). */
export const VERSION = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { readonly version: string }
).version;
