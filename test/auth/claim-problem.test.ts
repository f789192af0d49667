import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { errors } from 'jose';
import { claimProblem } from '../../internal/auth/claim-problem.js';

const RULES = { issuer: 'https://id.example.com', audiences: ['gateway', 'other'] };
const NOW_MS = 1_000_000;

function problem(message: string, claim: string, value?: unknown): string {
  const payload = value === undefined ? {} : { [claim]: value };
  return claimProblem(new errors.JWTClaimValidationFailed(message, payload, claim), RULES, NOW_MS);
}

describe('a claim that does not hold', () => {
  it('is named with what it says and what is wanted', () => {
    assert.equal(
      problem('unexpected "iss" claim value', 'iss', 'https://id.example.com/'),
      'unexpected "iss" claim value: "https://id.example.com/", wanted: "https://id.example.com"',
    );
    assert.equal(
      problem('unexpected "aud" claim value', 'aud', ['a', 1, 'b']),
      'unexpected "aud" claim value: "a, b", wanted: "gateway, other"',
    );
    assert.equal(
      problem('missing required "aud" claim', 'aud'),
      'missing required "aud" claim, wanted: "gateway, other"',
    );
    assert.equal(
      problem('"exp" claim timestamp check failed', 'exp', 940),
      '"exp" claim timestamp check failed: it ended 60 s ago',
    );
    assert.equal(
      problem('"nbf" claim timestamp check failed', 'nbf', 1030),
      '"nbf" claim timestamp check failed: it begins in 30 s',
    );
  });

  it('fills no line of the log, and writes none of its own', () => {
    const said = problem('unexpected "aud" claim value', 'aud', `a\n${'x'.repeat(10_000)}`);
    assert.doesNotMatch(said, /\n/);
    assert.ok(said.length < 400);
    assert.equal(problem('"exp" claim must be a number', 'exp', 'soon'), '"exp" claim must be a number');
    assert.match(problem('unexpected "aud" claim value', 'aud', { a: 1 }), /: of a wrong type, wanted: /);
  });
});
