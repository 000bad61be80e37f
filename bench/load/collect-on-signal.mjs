/**
 * For `node --import`: a process that collects all of its garbage on SIGUSR2. V8 leaves the garbage of an idle process where it
 * is, up to a tenth of everything: what a process holds can be told from what it has not swept yet only behind a collection.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');
process.on('SIGUSR2', () => collect());
