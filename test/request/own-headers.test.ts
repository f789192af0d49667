import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isOwnHeader } from '../../internal/request/own-headers.js';

describe("headers that are the gateway's own", () => {
  it('are known in any case and spelling that a server may take for them', () => {
    for (const name of ['authorization', 'Host', 'X-User-Roles', 'x_user_id', 'X.User.Id', 'X-FORWARDED-FOR'])
      assert.ok(isOwnHeader(name), name);
    for (const name of ['sec-websocket-protocol', 'Transfer_Encoding', 'te', 'traceparent', 'x-request-id'])
      assert.ok(isOwnHeader(name), name);
  });

  it('are no others', () => {
    for (const name of ['cookie', 'x-user', 'accept', 'x-tenant', 'user-agent', 'origin', 'xforwarded-for'])
      assert.ok(!isOwnHeader(name), name);
  });
});
