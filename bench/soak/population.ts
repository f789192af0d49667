import { CLOSE_REASONS } from '../../internal/close-codes.js';
import { Talker } from '../../test/support/clients/talker.js';
import { eventually } from '../../test/support/eventually.js';
import type { Issuer } from '../../test/support/servers/issuer.js';
import { MqttTalker } from './mqtt-talker.js';
import { seeded } from './random.js';
import { Visitor } from './visitor.js';

export interface PopulationOptions {
  readonly port: number;
  readonly issuer: Issuer;
  readonly sessions: number;
  readonly seed: number;
  /** Mean length of a visit. */
  readonly stayMs: number;
  /** For all of the run. */
  readonly tokensLastSeconds: number;
}

/** Where sessions may end because an upstream was harmed, and where nothing may end them. */
export const HARMED = '/harmed';
export const STEADY = '/steady';
export const MQTT = '/mqtt';

const MESSAGE_EVERY_MS = 500;

/** How a session of a harmed upstream may end. */
const BY_UPSTREAM: readonly string[] = Object.values(CLOSE_REASONS)
  .filter(({ name }) =>
    ['upstream_lost', 'upstream_unavailable', 'upstream_too_slow', 'circuit_open'].includes(name),
  )
  .flatMap(({ name, client }) => [name, `${client?.code} ${client?.reason}`]);

/**
 * All clients: of ten sessions one talks through an upstream that is harmed, or through one that is
 * not; one through an MQTT broker; eight come and go in silence, three of them over MQTT. Each has a
 * source of choices of its own.
 */
export class Population {
  readonly #harmed: readonly Talker[];
  readonly #steady: readonly Talker[];
  readonly #mqtt: readonly MqttTalker[];
  readonly #visitors: readonly Visitor[];
  readonly #mqttVisitors: readonly Visitor[];

  constructor({ port, issuer, sessions, seed, stayMs, tokensLastSeconds }: PopulationOptions) {
    let clients = 0;
    const options = (kind: string) => {
      const random = seeded(seed + clients);
      const name = `${kind}-${clients++}`;
      const sign = (): string => issuer.sign({ sub: name }, { expiresInSeconds: tokensLastSeconds });
      const usual = sign();
      // Mostly one that has been cached, at times one that nobody knows.
      const token = (): string => (random() < 0.75 ? usual : sign());
      return { name, random, token, messageEveryMs: MESSAGE_EVERY_MS };
    };
    const many = <T>(share: number, create: () => T): T[] =>
      Array.from({ length: Math.max(1, Math.round(share * sessions)) }, create);
    const talker = (path: string): Talker => {
      const its = options('talker');
      return new Talker(its.name, { ...its, url: `ws://127.0.0.1:${port}${path}` });
    };
    const visitor = (path: string): Visitor => {
      const its = options('visitor');
      return new Visitor(its.name, { ...its, port, path, mqtt: path === MQTT, stayMs });
    };
    this.#harmed = many(0.05, () => talker(HARMED));
    this.#steady = many(0.05, () => talker(STEADY));
    this.#mqtt = many(0.1, () => {
      const its = options('mqtt-talker');
      return new MqttTalker(its.name, { ...its, url: `ws://127.0.0.1:${port}${MQTT}` });
    });
    this.#visitors = many(0.5, () => visitor(HARMED));
    this.#mqttVisitors = many(0.3, () => visitor(MQTT));
  }

  /** Messages that came back as they should. */
  get echoes(): number {
    return [...this.#harmed, ...this.#steady, ...this.#mqtt].reduce((sum, { echoes }) => sum + echoes, 0);
  }

  /** Sessions begun, or at least tried, by those who come and go. */
  get visits(): number {
    return this.#allVisitors.reduce((sum, { visits }) => sum + visits, 0);
  }

  /** How sessions were closed by the gateway, with how often. */
  get closes(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    const all = [...this.#harmed, ...this.#steady, ...this.#allVisitors];
    for (const name of all.flatMap(({ closes }) => closes)) counts[name] = (counts[name] ?? 0) + 1;
    return counts;
  }

  /** What must not happen: messages lost, doubled or out of turn, and ends that nothing explains. */
  get faults(): string[] {
    const talkers = [...this.#harmed, ...this.#steady, ...this.#mqtt];
    const unexplained = [...this.#harmed, ...this.#visitors].flatMap(({ closes }) =>
      closes.filter((close) => !BY_UPSTREAM.includes(close)),
    );
    const undisturbed = [...this.#steady, ...this.#mqttVisitors].flatMap(({ closes }) => closes);
    return [
      ...[...talkers, ...this.#allVisitors].flatMap(({ faults }) => faults),
      ...unexplained.map((close) => `closed, and no upstream was to blame: ${close}`),
      ...undisturbed.map((close) => `closed, and its upstream was not harmed: ${close}`),
    ];
  }

  /**
   * Lets everybody finish what they were saying, and go.
   * @throws Error where something said never came back.
   */
  async end(): Promise<void> {
    await Promise.all(this.#allVisitors.map((visitor) => visitor.end()));
    const talkers = [...this.#harmed, ...this.#steady];
    for (const talker of [...talkers, ...this.#mqtt]) talker.hush();
    await eventually(() => talkers.every((talker) => !talker.isOpen || talker.isSatisfied), 30_000);
    await eventually(() => this.#mqtt.every((talker) => talker.isSatisfied), 30_000);
    await Promise.all([...talkers, ...this.#mqtt].map((talker) => talker.end()));
  }

  get #allVisitors(): readonly Visitor[] {
    return [...this.#visitors, ...this.#mqttVisitors];
  }
}
