const byId = (id) => document.getElementById(id);
const base = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}`;
const MAX_LINES = 500;

/** A list of lines that follows its end. */
function logTo(list) {
  return (text, kind) => {
    const line = document.createElement('li');
    line.className = kind;
    line.textContent = text;
    list.append(line);
    if (list.children.length > MAX_LINES) list.firstChild.remove();
    list.scrollTop = list.scrollHeight;
  };
}

function closing(code, reason) {
  return `closed: ${code}${reason === '' ? '' : ` "${reason}"`}`;
}

async function newToken() {
  const roles = byId('roles')
    .value.split(/[\s,]+/)
    .filter((role) => role !== '');
  const sub = byId('sub').value;
  const answer = await fetch('/dev/token', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({
      sub,
      ttlSeconds: Number(byId('ttl').value),
      claims: { preferred_username: sub, roles },
    }),
  });
  byId('token').value = (await answer.text()).trim();
  showClaims();
}

function showClaims() {
  const part = byId('token').value.split('.')[1] ?? '';
  try {
    const bytes = Uint8Array.from(atob(part.replaceAll('-', '+').replaceAll('_', '/')), (char) =>
      char.charCodeAt(0),
    );
    byId('claims').textContent = new TextDecoder().decode(bytes);
  } catch {
    byId('claims').textContent = 'not a JWT';
  }
}

byId('token-form').addEventListener('submit', (event) => {
  event.preventDefault();
  void newToken();
});
byId('token').addEventListener('input', showClaims);

/** The button of a form that connects, and the one of the form that sends. */
function switchTo(connected, connect, send) {
  byId(connect).textContent = connected ? 'Disconnect' : 'Connect';
  byId(send).querySelector('button').disabled = !connected;
}

const rawLog = logTo(byId('raw-log'));
let socket;

byId('raw-form').addEventListener('submit', (event) => {
  event.preventDefault();
  if (socket !== undefined) return socket.close(1000);
  const token = byId('token').value.trim();
  const place = byId('raw-place').value;
  const url = new URL(base + byId('raw-path').value);
  if (place === 'query') url.searchParams.set('token', token);
  const opened = new WebSocket(url, place === 'subprotocol' ? ['bearer', token] : []);
  socket = opened;
  opened.addEventListener('open', () => {
    rawLog(`open${opened.protocol === '' ? '' : `, ${opened.protocol}`}`, 'note');
    if (place === 'message') opened.send(token);
    switchTo(true, 'raw-connect', 'raw-send');
  });
  opened.addEventListener('message', async ({ data }) => {
    rawLog(`< ${typeof data === 'string' ? data : await data.text()}`, 'in');
  });
  opened.addEventListener('close', ({ code, reason }) => {
    rawLog(closing(code, reason), code === 1000 ? 'note' : 'bad');
    socket = undefined;
    switchTo(false, 'raw-connect', 'raw-send');
  });
});

byId('raw-send').addEventListener('submit', (event) => {
  event.preventDefault();
  const message = byId('raw-message').value;
  socket?.send(message);
  rawLog(`> ${message}`, 'out');
});

const mqttLog = logTo(byId('mqtt-log'));
let client;

byId('mqtt-form').addEventListener('submit', (event) => {
  event.preventDefault();
  if (client !== undefined) return client.end();
  const made = window.mqtt.connect(`${base}/ws/mqtt`, {
    protocolVersion: Number(byId('mqtt-version').value),
    username: 'dev',
    password: byId('token').value.trim(),
    reconnectPeriod: 0,
  });
  client = made;
  made.on('connect', () => {
    mqttLog('connected', 'note');
    switchTo(true, 'mqtt-connect', 'mqtt-send');
    const topic = byId('mqtt-subscription').value;
    if (topic !== '')
      made.subscribe(topic, (error) => mqttLog(error ? error.message : `subscribed to ${topic}`, 'note'));
  });
  made.on('message', (topic, payload) => mqttLog(`< ${topic}: ${payload}`, 'in'));
  made.on('error', (error) => mqttLog(error.message, 'bad'));
  made.on('close', () => {
    mqttLog('closed', 'note');
    client = undefined;
    switchTo(false, 'mqtt-connect', 'mqtt-send');
  });
});

byId('mqtt-send').addEventListener('submit', (event) => {
  event.preventDefault();
  const topic = byId('mqtt-topic').value;
  const message = byId('mqtt-message').value;
  client?.publish(topic, message);
  mqttLog(`> ${topic}: ${message}`, 'out');
});

void newToken();
