import type { Stage } from './scenes/scene.js';
import type { Screen } from './screen.js';
import { ALICE, SECRET } from './services/people.js';

/** Lines for the reader's own terminal, in the folder of the repository. */
export async function tellWhatToPaste({ url, issuer, gateway }: Stage, screen: Screen): Promise<void> {
  screen.heading('Your turn', 'in another terminal, in this folder; the token is good for an hour');
  screen.row(
    'admin page',
    `${gateway.url}/admin/ui`,
    'in a browser on this machine: who is there, who was refused and why',
  );
  screen.paste(
    `${ALICE.name}'s token; POST ${issuer.url}/token as ${ALICE.name}:${SECRET} gives another`,
    `export TOKEN=${await issuer.token(ALICE)}`,
  );
  screen.paste(
    'HTTP: the service is told who asks',
    `curl -s -H "Authorization: Bearer $TOKEN" ${gateway.url}/api/me`,
  );
  screen.paste('the same without a token, and what the gateway says then', `curl -i ${gateway.url}/api/me`);
  screen.paste(
    'curl: the handshake, and the backend speaking first (Ctrl-C ends it)',
    `curl -iN --http1.1 -H "Authorization: Bearer $TOKEN" -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' ${gateway.url}/ws/ticks`,
  );
  screen.paste(
    'MQTT.js: subscribe, publish with QoS 1, and hear it',
    `node -e 'const c = require("mqtt").connect("${url}/ws/mqtt", { username: "alice", password: process.env.TOKEN, reconnectPeriod: 0 }); c.on("error", (e) => console.log(e.message)); c.on("message", (t, m) => { console.log(t, String(m)); setTimeout(() => c.end(), 100); }); c.subscribe("hello", { qos: 1 }, () => c.publish("hello", "it works", { qos: 1 }))'`,
  );
  screen.paste(
    'wscat: then type {"jsonrpc":"2.0","id":1,"method":"whoami"}',
    `npx -y wscat -c ${url}/ws/rpc -H "Authorization: Bearer $TOKEN"`,
  );
  screen.paste(
    'revoke the token: whoever is connected with it is thrown out',
    `curl -s ${gateway.url}/admin/revoke -d "$(node -p 'const { sub, jti } = JSON.parse(Buffer.from(process.env.TOKEN.split(".")[1], "base64url")); JSON.stringify({ sub, jti })')"`,
  );
  screen.paste('what the gateway counts', `curl -s ${gateway.url}/metrics | grep ^ws_`);
  screen.paste(
    'the same live, with rates (Ctrl-C ends it)',
    `node dist/cmd/main.js top --url ${gateway.url}`,
  );
}
