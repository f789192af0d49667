import type { Identity } from '../../auth/identity/identity.js';
import type { CloseCode, CloseReasonKey } from '../../close-codes.js';
import type { SessionConfig } from '../../config/config.js';
import type { MessageBudget } from '../../ratelimit/message-budget.js';
import type { Metrics } from '../../telemetry/metrics/metrics.js';
import type { Destination } from '../../upstream/pool/destination.js';
import { Cancellation } from '../../upstream/upstreams.js';
import type { UpstreamConnection } from '../../upstream/websocket/connection.js';
import type { ClientSocket } from '../client-socket.js';
import type { RenewableOwner } from '../pump/mqtt-renewal-pump.js';
import type { Pump } from '../pump/pump.js';
import { pumpFor, type RenewalByAuth, renewalByAuth } from '../pump/pump-for.js';
import type { Admission } from './admission.js';
import type { Plan } from './plan.js';
import { WaitingMessages } from './waiting.js';

/**
 * The states `authenticating` and `dialing` of a session: from the client's credentials to an open upstream
 * (SPEC sections 5 to 8). The session calls `identify`, `permit`, `reserve`, `dial` and `connect`, in this
 * order, and checks after each that it has not ended meanwhile. What the client sends meanwhile is kept.
 */
export class Establishing {
  name: 'authenticating' | 'dialing' = 'authenticating';
  readonly waiting = new WaitingMessages();
  /** The first bytes to send upstream. */
  greeting: Buffer | undefined;
  /** The client's close frame, which waits behind its messages; undefined: none has come. */
  leaving: CloseCode | undefined;
  #identity: Identity | undefined;
  #budget: MessageBudget | undefined;
  #destination: Destination | undefined;
  #renewal: RenewalByAuth | undefined;
  readonly #cancellation = new Cancellation();

  /** @param config the limits of the plan's route. */
  constructor(
    readonly plan: Plan,
    readonly admission: Admission,
    readonly config: SessionConfig,
  ) {}

  /**
   * Who the client is; undefined: anonymous, on a public route.
   * @throws GatewayError, by rejecting too; see `Access.identify`.
   */
  identify(): Identity | undefined | Promise<Identity | undefined> {
    this.plan.opening.trace?.begin('authenticate');
    return this.admission.identify(this.plan);
  }

  /**
   * Checks the client's rights, and takes a connection slot of its subject. @throws GatewayError; see
   * `Access.permitSession`.
   */
  permit(identity: Identity | undefined, ip: string): void {
    this.#identity = identity;
    this.#budget = this.admission.access.permitSession(this.plan.match.route, identity, ip);
  }

  /**
   * Takes what must be asked for elsewhere: a connection slot shared by replicas, the route's request limit,
   * a token that serves once, the code of MQTT renewal; undefined: nothing need be awaited. @throws
   * GatewayError, by rejecting too.
   */
  reserve(sessionId: string): Promise<void> | undefined {
    const { admission, plan } = this;
    const identity = this.#identity;
    this.greeting = admission.greetingToForward(plan, identity);
    this.name = 'dialing';
    this.#destination = admission.destination(plan, identity);
    const { route } = plan.match;
    const confirming = admission.access.confirmSlot(identity, sessionId);
    const counting = admission.access.countRequest(route, identity, plan.opening.client.ip);
    const method = admission.renewalMethod(plan);
    const others = [confirming, counting].filter((asked) => asked !== undefined);
    const isAlone = others.length === 0 && method === undefined && !route.tokens.once;
    return isAlone ? undefined : this.#reserve(others, method);
  }

  async #reserve(others: readonly Promise<void>[], method: string | undefined): Promise<void> {
    await Promise.all(others);
    // The client has gone: its token, if it serves once, is not used up.
    if (this.#cancellation.cancelled) return;
    await this.admission.access.claim(this.plan.match.route, this.#identity);
    if (method !== undefined) this.#renewal = await renewalByAuth(method);
  }

  /** @throws GatewayError, by rejecting; see `Upstreams.dial`. */
  dial(sessionId: string): Promise<UpstreamConnection> {
    const { plan } = this;
    plan.opening.trace?.begin('dial');
    const dialled = this.admission.dial(plan, this.#identity, {
      session: sessionId,
      destination: this.#destination,
      cancellation: this.#cancellation,
    });
    const ready = this.#budget?.ready;
    // What other replicas have left of the budget is fetched during the dial, so that no message waits for
    // it.
    return ready === undefined ? dialled : Promise.all([dialled, ready]).then(([upstream]) => upstream);
  }

  /**
   * Both ends are open: makes the pump that passes messages between them, which owns the budget from now on.
   */
  connect(owner: RenewableOwner, client: ClientSocket, upstream: UpstreamConnection, metrics: Metrics): Pump {
    const { adapter, match } = this.plan;
    const packets = adapter.packets();
    upstream.tenancy.farewell = packets;
    const options = {
      config: this.config,
      metrics,
      protocol: adapter.protocol,
      allowsText: adapter.allowsText,
      budget: this.#budget,
      packets,
      nowMs: performance.now(),
    };
    return pumpFor(owner, client, upstream, options, match.route, this.#renewal);
  }

  /** The session ends before it is open: cancels the dial and gives the budget back. */
  abandon(): void {
    this.#cancellation.cancel();
    this.#budget?.release();
  }

  /** See `ClientListener`. */
  messageRefusal(bytes: number): CloseReasonKey | undefined {
    const { maxConnectBytes, maxBufferedBytes, maxMessageBytes } = this.config;
    if (this.name === 'authenticating')
      return bytes > maxConnectBytes - this.plan.first.length - this.waiting.bytes
        ? 'messageTooBig'
        : undefined;
    if (bytes > maxMessageBytes) return 'messageTooBig';
    return bytes > maxBufferedBytes - this.waiting.bytes ? 'tooMuchWaiting' : undefined;
  }

  /** Bytes that came in one message with the greeting, behind it. */
  get bytesBehindGreeting(): number {
    const { first, greeting } = this.plan;
    return first.length - (greeting?.length ?? 0);
  }

  /**
   * Whether something waits for the upstream that the client takes for sent. Its greeting by itself does not
   * count: nobody is left to log in.
   */
  get hasMessages(): boolean {
    return this.waiting.count > 0 || this.bytesBehindGreeting > 0;
  }

  /** Keeps a copy of a message until the upstream is open. @returns why it may not be kept. */
  keep(payload: Uint8Array, isBinary: boolean): CloseReasonKey | undefined {
    const { plan, waiting } = this;
    const { maxConnectBytes, maxBufferedBytes, maxMessageBytes } = this.config;
    if (!isBinary && !plan.adapter.allowsText) return 'mqttTextFrame';
    if (payload.length > maxMessageBytes) return 'messageTooBig';
    if (this.name === 'dialing')
      return waiting.add(payload, isBinary, maxBufferedBytes) ? undefined : 'tooMuchWaiting';
    const isKept = waiting.add(payload, isBinary, maxConnectBytes - plan.first.length);
    return isKept ? undefined : 'messageTooBig';
  }
}
