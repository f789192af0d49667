/** Who the demo's issuer knows. The name is client id, `sub` and `preferred_username` at once. */
export interface Person {
  readonly name: string;
  readonly roles: readonly string[];
}

/** What everybody's client secret is. */
export const SECRET = 'demo';

/** The `aud` of every token, and what the gateway expects there. */
export const AUDIENCE = 'ws-gateway-demo';

export const ALICE: Person = { name: 'alice', roles: ['operator', 'viewer'] };
export const BOB: Person = { name: 'bob', roles: ['viewer'] };
export const SENSOR: Person = { name: 'sensor-7', roles: ['device'] };
export const PANEL: Person = { name: 'panel-2', roles: ['device', 'display'] };
export const PARROT: Person = { name: 'parrot', roles: ['viewer'] };

export const PEOPLE: readonly Person[] = [ALICE, BOB, SENSOR, PANEL, PARROT];
