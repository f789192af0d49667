import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { buildConnector } from 'undici';
import { Connection, NoTurn } from '../../../internal/upstream/http/connection.js';
import type { CircuitState } from '../../../internal/upstream/pool/circuit-breaker.js';
import { DialTurns } from '../../../internal/upstream/pool/dial-turns.js';
import { eventually } from '../../support/eventually.js';

describe('a dial for an exchange', () => {
  /** Connections to an endpoint that takes one dial at a time, whose dials end when the test says so. */
  function lab(connectMs = 60_000) {
    const dials: buildConnector.Callback[] = [];
    const breaker = { state: 'closed' as CircuitState };
    const endpoint = { turns: new DialTurns(1), breaker };
    const dial = {
      ...{ endpoint, origin: 'http://127.0.0.1:1', connectMs },
      connector: (_: unknown, callback: buildConnector.Callback) => void dials.push(callback),
    };
    const ask = () =>
      new Promise<Error>((resolve) => {
        new Connection(dial, {}, () => {}).send(
          { path: '/', method: 'GET' },
          { ...handlers, onError: resolve },
        );
      });
    return { dials, breaker, ask };
  }
  const handlers = {
    trailers: () => '',
    onConnect: () => {},
    onHeaders: () => true,
    onData: () => true,
    onComplete: () => {},
  };
  const refused = new Error('refused');

  it('waits until it is its turn, which goes from hand to hand', async () => {
    const { dials, ask } = lab();
    const asked = [ask(), ask(), ask()];
    for (const [index, answer] of asked.entries()) {
      await eventually(() => dials.length === index + 1);
      dials[index]?.(refused, null);
      assert.equal(await answer, refused);
    }
  });

  it('that no turn comes for in time is given up', async () => {
    const { dials, ask } = lab(20);
    const first = ask();
    assert.ok((await ask()) instanceof NoTurn);
    dials[0]?.(refused, null);
    await first;
    assert.equal(dials.length, 1);
  });

  it('whose circuit opened while it waited is not made, and gives its turn on', async () => {
    const { dials, breaker, ask } = lab();
    const asked = [ask(), ask(), ask()];
    breaker.state = 'open';
    dials[0]?.(refused, null);
    assert.equal(await asked[0], refused);
    assert.ok((await asked[1]) instanceof NoTurn && (await asked[2]) instanceof NoTurn);
    assert.equal(dials.length, 1);
  });
});
