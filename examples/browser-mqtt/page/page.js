/* global mqtt */
const $ = (id) => document.getElementById(id);

function say(text) {
  const line = document.createElement('li');
  line.textContent = text;
  $('log').prepend(line);
}

let client;

$('connect').addEventListener('submit', (event) => {
  event.preventDefault();
  client?.end(true);
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  client = mqtt.connect(`${scheme}://${location.host}/ws/mqtt`, {
    protocolVersion: 5,
    // The gateway reads the token from the password.
    username: 'browser',
    password: $('token').value,
    reconnectPeriod: 5_000,
  });
  client.on('connect', () => {
    say('connected');
    client.subscribe('demo/#', (error) =>
      say(error ? `not subscribed: ${error.message}` : 'subscribed to demo/#'),
    );
    $('publish').querySelector('button').disabled = false;
  });
  // The token may have been replaced in the meantime.
  client.on('reconnect', () => {
    client.options.password = $('token').value;
  });
  client.on('message', (topic, payload) => say(`${topic}: ${payload}`));
  // A refusal is a CONNACK: 0x87 where the token is not good, and no use in trying the same one again.
  client.on('error', (error) => {
    say(`refused: ${error.message}`);
    if (error.code === 0x87) client.end(true);
  });
  client.on('close', () => {
    $('publish').querySelector('button').disabled = true;
  });
});

$('publish').addEventListener('submit', (event) => {
  event.preventDefault();
  client.publish($('topic').value, $('message').value, { qos: 1 });
});
