import { SharedOctets } from '../xmpp/items/octet-text.js';
import { Writer } from '../wire/writer.js';

/**
 * What the exporters of all tables use one after the other: an exporter per table with buffers of its own would keep
 * megabytes for ten thousand VRFs. Nothing stays in the writers from one batch to the next.
 */
export class PushScratch {
  /** The message of items in the making, and that of retracts. */
  readonly items = new Writer();
  readonly retracts = new Writer();
  /** The key of a list of paths that is looked up. */
  readonly key = new Writer();
  readonly octets = new SharedOctets();
}
