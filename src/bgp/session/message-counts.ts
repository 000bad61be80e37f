import { MessageType } from '../message/iana.js';

/** How many messages of each type went one way (contract.md §4, `messages`). */
export interface MessageCountsView {
  readonly open: number;
  readonly update: number;
  readonly notification: number;
  readonly keepalive: number;
  readonly routeRefresh: number;
}

export class MessageCounts implements MessageCountsView {
  open = 0;
  update = 0;
  notification = 0;
  keepalive = 0;
  routeRefresh = 0;

  /** @param type  as in a header that passed its check */
  add(type: number): void {
    switch (type) {
      case MessageType.update:
        this.update++;
        break;
      case MessageType.keepalive:
        this.keepalive++;
        break;
      case MessageType.open:
        this.open++;
        break;
      case MessageType.notification:
        this.notification++;
        break;
      case MessageType.routeRefresh:
        this.routeRefresh++;
        break;
      default:
    }
  }
}
