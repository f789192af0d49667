import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { startChild } from '../../support/child-process.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { type Mosquitto, startMosquitto } from '../../support/servers/mosquitto.js';

/** Subscribes, publishes QoS 0 to 2 and prints what came back; or prints the refusal code of CONNACK. */
const PROGRAM = `
import sys, threading
import paho.mqtt.client as mqtt

port, version, token, header = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
client = mqtt.Client(client_id="paho-%d" % version, protocol=version, transport="websockets")
client.ws_set_options(path="/mqtt", headers={"Authorization": "Bearer " + header} if header else None)
if token:
    client.username_pw_set("paho", token)
done = threading.Event()
got = []

def on_connect(client, userdata, flags, rc, properties=None):
    code = rc if isinstance(rc, int) else rc.value
    if code != 0:
        print("refused %d" % code)
        done.set()
        return
    client.subscribe("paho/%d" % version, 2)

def on_subscribe(client, *rest):
    for qos in (0, 1, 2):
        client.publish("paho/%d" % version, "qos %d" % qos, qos)
    client.publish("paho/%d" % version, "x" * 20000, 1)

def on_message(client, userdata, message):
    text = message.payload.decode()
    got.append(text if len(text) < 100 else "%d bytes" % len(text))
    if len(got) == 4:
        done.set()

client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
client.connect("127.0.0.1", port)
client.loop_start()
done.wait(20)
client.disconnect()
client.loop_stop()
for line in got:
    print(line)
`;

describe('Eclipse Paho for Python over WebSockets', () => {
  let issuer: Issuer;
  let broker: Mosquitto;
  let gateway: Gateway;

  before(async () => {
    issuer = await startIssuer();
    broker = await startMosquitto();
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl },
      routes: [{ prefix: '/mqtt', upstream: broker.url, protocol: 'mqtt' }],
    });
  });
  after(async () => {
    await assertQuiet(gateway);
    await gateway.stop();
    await broker.stop();
    await issuer.close();
  });

  async function paho(version: number, password: string, header = ''): Promise<string[]> {
    const args = ['-c', PROGRAM, String(gateway.port), String(version), password, header];
    // Debian's interpreter is the one that has python3-paho-mqtt.
    const child = startChild('/usr/bin/python3', args);
    await child.exited;
    assert.equal(child.stderr, '');
    return child.stdout.trim().split('\n');
  }
  const expected = new Set(['qos 0', 'qos 1', 'qos 2', '20000 bytes']);

  for (const [version, name] of [
    [3, '3.1'],
    [4, '3.1.1'],
    [5, '5.0'],
  ] as const)
    it(`talks MQTT ${name} with the token as its password`, async () => {
      assert.deepEqual(new Set(await paho(version, issuer.sign())), expected);
    });

  it('may bring the token in the Authorization header', async () => {
    assert.deepEqual(new Set(await paho(4, '', issuer.sign())), expected);
  });

  it('is told that it is not authorized', async () => {
    const forged = `${issuer.sign().slice(0, -8)}AAAAAAAA`;
    assert.equal((await paho(4, forged))[0], 'refused 5');
    assert.equal((await paho(5, forged))[0], 'refused 135');
  });
});
