import type { Target } from './target.js';
import { client } from './targets/client.js';
import { credentials } from './targets/credentials.js';
import { firstMessage } from './targets/first-message.js';
import { frames } from './targets/frames.js';
import { httpAnswer } from './targets/http-answer.js';
import { httpConnection } from './targets/http-connection.js';
import { json } from './targets/json.js';
import { mqttAuth } from './targets/mqtt-auth.js';
import { mqttConnect } from './targets/mqtt-connect.js';
import { mqttPackets } from './targets/mqtt-packets.js';
import { path } from './targets/path.js';
import { postgres } from './targets/postgres.js';
import { requestHead } from './targets/request-head.js';
import { responseHead } from './targets/response-head.js';
import { routes } from './targets/routes.js';
import { stomp } from './targets/stomp.js';

export const TARGETS: readonly Target[] = [
  mqttConnect,
  mqttAuth,
  mqttPackets,
  stomp,
  firstMessage,
  json,
  frames,
  requestHead,
  responseHead,
  httpAnswer,
  httpConnection,
  path,
  credentials,
  client,
  routes,
  postgres,
];
