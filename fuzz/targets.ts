import type { Target } from './target.js';
import { credentials } from './targets/credentials.js';
import { frames } from './targets/frames.js';
import { httpAnswer } from './targets/http-answer.js';
import { httpConnection } from './targets/http-connection.js';
import { mqttAuth } from './targets/mqtt-auth.js';
import { mqttConnect } from './targets/mqtt-connect.js';
import { mqttPackets } from './targets/mqtt-packets.js';
import { path } from './targets/path.js';
import { requestHead } from './targets/request-head.js';
import { responseHead } from './targets/response-head.js';
import { routes } from './targets/routes.js';
import { stomp } from './targets/stomp.js';

export const TARGETS: readonly Target[] = [
  mqttConnect,
  mqttAuth,
  mqttPackets,
  stomp,
  frames,
  requestHead,
  responseHead,
  httpAnswer,
  httpConnection,
  path,
  credentials,
  routes,
];
