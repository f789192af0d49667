import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { outputOf } from '../../../internal/exchange/bootstrap/command.js';

const options = {
  env: { SEEN: 'yes' },
  withinMs: 30_000,
  limitBytes: 100,
  signal: new AbortController().signal,
};
const sh = (script: string, more: object = {}, ...args: string[]) =>
  outputOf(['/bin/sh', '-c', script, 'sh', ...args], { ...options, ...more });

describe('a command', () => {
  it('gets its arguments as they are, and no other environment than is said', async () => {
    const output = await sh('printf "%s|%s|%s" "$1" "$SEEN" "$HOME"', {}, "$(id) ' *");
    assert.equal(String(output), "$(id) ' *|yes|");
  });

  it('that ends badly, or cannot be started, fails with what it says itself', async () => {
    await assert.rejects(sh('echo no more >&2; exit 3'), /it ended with 3: no more$/);
    await assert.rejects(sh('kill -9 $$'), /it ended with SIGKILL/);
    await assert.rejects(outputOf(['/no/such/program'], options), /ENOENT/);
    await assert.rejects(outputOf(['/bin/echo', 'a\0b'], options), /null bytes/);
  });

  it('that takes too long is ended, though what it started holds its output', async () => {
    await assert.rejects(sh('sleep 60 & wait', { withinMs: 200 }), /it took longer than 200 ms/);
    await assert.rejects(sh('sleep 60 &', { withinMs: 200 }), /it took longer than 200 ms/);
  });

  it('that writes too much is ended', async () => {
    await assert.rejects(sh('while :; do echo more; done'), /it wrote more than 100 bytes/);
    assert.equal((await sh('printf "%0100d" 0')).length, 100);
  });

  it('that nobody waits for any more is ended', async () => {
    const leaving = new AbortController();
    const running = sh('sleep 60', { signal: leaving.signal });
    leaving.abort();
    await assert.rejects(running, /nobody waits/);
  });
});
