import type { Source } from '../rib/source.js';
import type { Timer } from '../util/clock.js';
import type { RecentAttributes } from '../xmpp/items/published-attributes.js';
import type { AgentSession } from '../xmpp/session.js';
import type { SubscriptionLimits } from './agent-limits.js';
import type { AgentReceiver } from './agent-receiver.js';
import type { AgentRestart } from './agent-restart.js';
import type { Membership } from './export-groups.js';
import type { ConfiguredVrf } from './vrfs.js';

/** An agent's part in the routes of one table. */
export interface JoinedTable {
  readonly membership: Membership;
  readonly receiver: AgentReceiver;
}

/** A VRF that an agent takes part in, or took part in when it was last here. */
export interface AgentSubscription extends SubscriptionLimits {
  readonly entry: ConfiguredVrf;
  readonly instanceId: number;
  /** What the agent publishes has another route distinguisher than before, so it leaves again although nothing else changed. */
  readonly renumbered: boolean;
  /** The agent was lost and has not subscribed again since. */
  stale: boolean;
  /** What it receives, table by table; empty while the agent is away and when it wants nothing. */
  joined: readonly JoinedTable[];
}

/** An agent that is connected, or that is expected back: its source, and what it is subscribed to. */
export interface KnownAgent {
  readonly name: string;
  readonly source: Source;
  readonly subscriptions: Map<string, AgentSubscription>;
  readonly restart: AgentRestart;
  /** Absent while the agent is away. */
  session: AgentSession | undefined;
  recent: RecentAttributes;
  /** Tables whose present content is still on its way to the agent. */
  dumps: number;
  /** Of {@link restart}. */
  timer: Timer | undefined;
}
