/*
 * Clients and their echo in one process on one core, so that it is the proxy between them that has no time left.
 * Prints the port of the echo, then answers each line of standard input, a job, with one line of JSON:
 *
 *   MODE SPEECH PORT PATH CONNECTIONS INFLIGHT PAYLOAD PER_SECOND WARMUP_MS DURATION_MS FIRST_TOKEN TOKEN_FILE PID,PID…
 *
 * MODE is saturate, rate or connect and SPEECH plain or publish, as bench/job.ts says. TOKEN_FILE has a token a line, or
 * is - for none. The CPU time of the PIDs (- for none) is read here, in the same moment as the count of messages.
 *
 * Of clients that publish, the echo is the broker: it answers CONNECT, and a PUBLISH has arrived when it has it; then its
 * client sends the next one. Linux only.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { READ_BYTES = 1 << 18, EVENTS = 1024, HEAD_BYTES = 8192, OPENING_AT_ONCE = 50, CONNECT_AT_ONCE = 20, PACKET_BYTES = 8192 };
enum role { LISTENER, ECHO, CLIENT };

struct conn {
  int fd;
  enum role role;
  int open, closing, kept, mqtt;
  /* The opening handshake, as far as it has come. */
  char *head;
  size_t head_length;
  /* The frame that is being read: its header, and what is left of its payload. */
  uint8_t header[14];
  unsigned header_length;
  uint64_t left;
  uint8_t key[4];
  unsigned key_at;
  /* Of a broker's connection, the packet that is being read; of a publishing client, its number. */
  uint8_t *packet;
  size_t packet_length;
  int number;
  /* What the kernel has not taken yet. */
  uint8_t *unsent;
  size_t unsent_length;
  /* When the messages under way were sent: a ring of as many as may be in flight. */
  uint64_t *sent_at;
  unsigned ring, ring_first, ring_count;
};

static int poller, listener;
static uint8_t input[READ_BYTES], output[2 * READ_BYTES];
static uint64_t arrived, finished, opened, failures;
static int recording;
static float *latencies;
static size_t latency_count, latency_capacity;

static struct {
  char mode[16], speech[16], path[256], token_file[1024], pids[1024];
  int port, connections, inflight, payload;
  double per_second;
  int warmup_ms, duration_ms;
  long first_token;
} job;
static char **tokens;
static long token_count, next_token;
static uint8_t *message;
static size_t message_length;
static struct conn **clients;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static uint64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* User and system time of all threads, by the scheduler's own account. */
static double cpu_micros(void) {
  double nanos = 0;
  char list[1024], path[512];
  snprintf(list, sizeof list, "%s", job.pids);
  for (char *save = NULL, *pid = strtok_r(list, ",", &save); pid != NULL; pid = strtok_r(NULL, ",", &save)) {
    if (strcmp(pid, "-") == 0) continue;
    snprintf(path, sizeof path, "/proc/%s/task", pid);
    DIR *tasks = opendir(path);
    if (tasks == NULL) die(path);
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
      unsigned long long running;
      snprintf(path, sizeof path, "/proc/%.20s/task/%.20s/schedstat", pid, entry->d_name);
      FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
      if (file == NULL) continue;
      if (fscanf(file, "%llu", &running) == 1) nanos += (double)running;
      fclose(file);
    }
    closedir(tasks);
  }
  return nanos / 1000;
}

/* SHA-1 (RFC 3174), for Sec-WebSocket-Accept alone. */
static uint32_t rotate(uint32_t word, int bits) { return word << bits | word >> (32 - bits); }

static void sha1(const uint8_t *data, size_t length, uint8_t digest[20]) {
  uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  uint8_t block[128] = {0};
  size_t blocks = (length + 9 + 63) / 64;
  memcpy(block, data, length);
  block[length] = 0x80;
  for (unsigned byte = 0; byte < 8; byte++) block[blocks * 64 - 1 - byte] = (uint8_t)((uint64_t)length * 8 >> (8 * byte));
  for (size_t at = 0; at < blocks; at++) {
    uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int i = 0; i < 16; i++) {
      const uint8_t *p = block + at * 64 + i * 4;
      w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    }
    for (int i = 16; i < 80; i++) w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
      uint32_t f = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999
                   : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
                   : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
                            : (b ^ c ^ d) + 0xca62c1d6;
      uint32_t t = rotate(a, 5) + f + e + w[i];
      e = d, d = c, c = rotate(b, 30), b = a, a = t;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
  }
  for (int i = 0; i < 20; i++) digest[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

static void base64(const uint8_t *data, size_t length, char *text) {
  static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < length; i += 3) {
    uint32_t v = (uint32_t)data[i] << 16 | (i + 1 < length ? data[i + 1] << 8 : 0) | (i + 2 < length ? data[i + 2] : 0);
    *text++ = alphabet[v >> 18];
    *text++ = alphabet[v >> 12 & 63];
    *text++ = i + 1 < length ? alphabet[v >> 6 & 63] : '=';
    *text++ = i + 2 < length ? alphabet[v & 63] : '=';
  }
  *text = 0;
}

static void watch(struct conn *conn, uint32_t events, int operation) {
  struct epoll_event event = {.events = events, .data.ptr = conn};
  if (epoll_ctl(poller, operation, conn->fd, &event) != 0) die("epoll_ctl");
}

static struct conn *conn_new(int fd, enum role role) {
  struct conn *conn = calloc(1, sizeof *conn);
  int on = 1;
  conn->fd = fd;
  conn->role = role;
  if (role != LISTENER) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    conn->head = malloc(HEAD_BYTES);
  }
  return conn;
}

/* Freed after the events at hand: one of them may still be about it. */
static struct conn *graveyard[4 * EVENTS];
static int buried;

static void conn_close(struct conn *conn) {
  if (conn->fd < 0) return;
  close(conn->fd);
  conn->fd = -1;
  if (buried < 4 * EVENTS) graveyard[buried++] = conn;
}

static void bury(void) {
  while (buried > 0) {
    struct conn *conn = graveyard[--buried];
    if (conn->kept) continue;
    free(conn->head);
    free(conn->packet);
    free(conn->unsent);
    free(conn->sent_at);
    free(conn);
  }
}

static void conn_send(struct conn *conn, const uint8_t *bytes, size_t length) {
  ssize_t taken = conn->unsent_length > 0 ? 0 : send(conn->fd, bytes, length, MSG_NOSIGNAL);
  if (taken < 0) {
    if (errno != EAGAIN) return;
    taken = 0;
  }
  if ((size_t)taken == length) return;
  size_t rest = length - (size_t)taken;
  conn->unsent = realloc(conn->unsent, conn->unsent_length + rest);
  memcpy(conn->unsent + conn->unsent_length, bytes + taken, rest);
  if (conn->unsent_length == 0) watch(conn, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
  conn->unsent_length += rest;
}

static void conn_flush(struct conn *conn) {
  ssize_t taken = send(conn->fd, conn->unsent, conn->unsent_length, MSG_NOSIGNAL);
  if (taken <= 0) return;
  conn->unsent_length -= (size_t)taken;
  memmove(conn->unsent, conn->unsent + taken, conn->unsent_length);
  if (conn->unsent_length == 0) watch(conn, EPOLLIN, EPOLL_CTL_MOD);
}

static const uint8_t masking_key[4] = {0x37, 0xfa, 0x21, 0x3d};

/* A masked binary frame of a client. @return its length. */
static size_t client_frame(uint8_t *to, const uint8_t *payload, size_t size) {
  size_t header = size < 126 ? 2 : size < 65536 ? 4 : 10;
  to[0] = 0x82;
  to[1] = (uint8_t)(0x80 | (header == 2 ? size : header == 4 ? 126 : 127));
  for (size_t i = 2; i < header; i++) to[i] = (uint8_t)(size >> (8 * (header - 1 - i)));
  memcpy(to + header, masking_key, 4);
  for (size_t i = 0; i < size; i++) to[header + 4 + i] = payload[i] ^ masking_key[i & 3];
  return header + 4 + size;
}

/* Writes a fixed header (MQTT 3.1.1 §2.2). @return its length. */
static size_t fixed_header(uint8_t *to, uint8_t type, size_t remaining) {
  size_t at = 0;
  to[at++] = type;
  do to[at++] = (uint8_t)((remaining & 0x7f) | (remaining > 0x7f ? 0x80 : 0));
  while ((remaining >>= 7) > 0);
  return at;
}

static int publishes(void) { return strcmp(job.speech, "publish") == 0; }

/* QoS 0, to a topic of the client's own. */
static void publish(struct conn *conn) {
  static uint8_t packet[1 << 17], frame[1 << 17];
  char topic[16];
  int length = snprintf(topic, sizeof topic, "b/%06d", conn->number);
  size_t at = fixed_header(packet, 0x30, 2 + (size_t)length + (size_t)job.payload);
  packet[at++] = 0;
  packet[at++] = (uint8_t)length;
  memcpy(packet + at, topic, (size_t)length);
  at += (size_t)length;
  memset(packet + at, 'x', (size_t)job.payload);
  conn_send(conn, frame, client_frame(frame, packet, at + (size_t)job.payload));
}

static void say(struct conn *conn, unsigned count) {
  if (conn->sent_at != NULL) {
    uint64_t now = now_ns();
    for (unsigned i = 0; i < count && conn->ring_count < conn->ring; i++)
      conn->sent_at[(conn->ring_first + conn->ring_count++) % conn->ring] = now;
  }
  if (publishes()) {
    for (; count > 0; count--) publish(conn);
    return;
  }
  for (; count > 0; count -= count > (unsigned)job.inflight ? (unsigned)job.inflight : count)
    conn_send(conn, message, message_length * (count > (unsigned)job.inflight ? (unsigned)job.inflight : count));
}

static void on_arrived(struct conn *conn, unsigned count) {
  arrived += count;
  if (conn->sent_at == NULL) return say(conn, count);
  uint64_t now = now_ns();
  for (; count > 0 && conn->ring_count > 0; count--, conn->ring_count--) {
    if (recording && latency_count < latency_capacity)
      latencies[latency_count++] = (float)(now - conn->sent_at[conn->ring_first]) / 1000;
    conn->ring_first = (conn->ring_first + 1) % conn->ring;
  }
}

/* What a broker does with a packet that came in a frame of its own. */
static void on_packet(struct conn *conn) {
  static const uint8_t connack[] = {0x82, 4, 0x20, 2, 0, 0};
  uint8_t *packet = conn->packet;
  size_t at = 1;
  while (at < conn->packet_length && packet[at] & 0x80) at++;
  at++;
  if (conn->packet_length > 0 && packet[0] == 0x10) conn_send(conn, connack, sizeof connack);
  if (conn->packet_length > at + 10 && packet[0] >> 4 == 3) {
    int number = atoi((char *)packet + at + 4);
    /* It may be of a client of the job before, which had said it when it went. */
    int is_there = clients != NULL && number >= 0 && number < job.connections && clients[number] != NULL;
    if (is_there && clients[number]->open) on_arrived(clients[number], 1);
  }
  conn->packet_length = 0;
}

static unsigned header_bytes(const uint8_t *header, unsigned length) {
  if (length < 2) return 2;
  unsigned size = header[1] & 0x7f;
  return 2 + (size == 126 ? 2u : size == 127 ? 8u : 0u) + (header[1] & 0x80 ? 4u : 0u);
}

static void unmask(struct conn *conn, uint8_t *to, const uint8_t *from, size_t length) {
  uint8_t key[8];
  for (int i = 0; i < 8; i++) key[i] = conn->key[(conn->key_at + (unsigned)i) & 3];
  uint64_t word, wide;
  memcpy(&wide, key, 8);
  size_t at = 0;
  if (wide == 0) memmove(to, from, length);
  else {
    for (; at + 8 <= length; at += 8) memcpy(&word, from + at, 8), word ^= wide, memcpy(to + at, &word, 8);
    for (; at < length; at++) to[at] = from[at] ^ key[at & 7];
  }
  conn->key_at = (unsigned)(conn->key_at + length) & 3;
}

/* Frames of a stream that is cut anywhere. Clients look at headers, the echo turns messages round. */
static void on_frames(struct conn *conn, const uint8_t *bytes, size_t length) {
  size_t out = 0;
  unsigned messages = 0;
  for (size_t at = 0; at < length;) {
    unsigned needed = header_bytes(conn->header, conn->header_length);
    if (conn->header_length < needed) {
      conn->header[conn->header_length++] = bytes[at++];
      needed = header_bytes(conn->header, conn->header_length);
      if (conn->header_length < needed) continue;
      unsigned size = conn->header[1] & 0x7f;
      conn->left = size;
      if (size >= 126) {
        conn->left = 0;
        for (unsigned i = 2; i < (size == 126 ? 4u : 10u); i++) conn->left = conn->left << 8 | conn->header[i];
      }
      unsigned keyed = conn->header[1] & 0x80;
      if (keyed) memcpy(conn->key, conn->header + needed - 4, 4);
      else memset(conn->key, 0, 4);
      conn->key_at = 0;
      if (conn->role == ECHO && !conn->mqtt) {
        unsigned plain = needed - (keyed ? 4 : 0);
        memcpy(output + out, conn->header, plain);
        if ((conn->header[0] & 0x0f) == 0x9) output[out] ^= 0x9 ^ 0xa;
        output[out + 1] &= 0x7f;
        if ((conn->header[0] & 0x0f) != 0xa) out += plain;
      }
    }
    size_t part = conn->left < length - at ? (size_t)conn->left : length - at;
    if (conn->mqtt) {
      size_t room = PACKET_BYTES - conn->packet_length;
      if (part > room) die("a packet too long for this broker");
      unmask(conn, conn->packet + conn->packet_length, bytes + at, part);
      conn->packet_length += part;
    } else if (conn->role == ECHO && (conn->header[0] & 0x0f) != 0xa) {
      unmask(conn, output + out, bytes + at, part);
      out += part;
    }
    at += part;
    conn->left -= part;
    if (conn->left > 0) continue;
    unsigned opcode = conn->header[0] & 0x0f;
    conn->header_length = 0;
    if (opcode == 0x8) conn->closing = 1;
    if (conn->mqtt) on_packet(conn);
    if (opcode < 0x8 && conn->header[0] & 0x80) messages++;
    if (opcode == 0x9 && conn->role == CLIENT) {
      static const uint8_t pong[] = {0x8a, 0x80, 0, 0, 0, 0};
      conn_send(conn, pong, sizeof pong);
    }
  }
  if (out > 0) conn_send(conn, output, out);
  if (conn->role == CLIENT && messages > 0) {
    if (!publishes()) on_arrived(conn, messages);
    /* Its CONNACK. */
    else opened++;
  }
  if (conn->closing && conn->role == ECHO) shutdown(conn->fd, SHUT_WR);
}

static void open_echo(struct conn *conn) {
  static const char ordinary[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  char text[128], accept[64], answer[512];
  uint8_t digest[20];
  char *key = strcasestr(conn->head, "\r\nsec-websocket-key:");
  if (key == NULL) {
    conn->head_length = 0;
    return conn_send(conn, (const uint8_t *)ordinary, sizeof ordinary - 1);
  }
  key += 20;
  while (*key == ' ') key++;
  conn->mqtt = strcasestr(conn->head, "\r\nsec-websocket-protocol: mqtt") != NULL;
  if (conn->mqtt) conn->packet = malloc(PACKET_BYTES + 1);
  snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
  sha1((const uint8_t *)text, strlen(text), digest);
  base64(digest, 20, accept);
  int length = snprintf(answer, sizeof answer,
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "%sSec-WebSocket-Accept: %s\r\n\r\n",
                        conn->mqtt ? "Sec-WebSocket-Protocol: mqtt\r\n" : "", accept);
  conn->open = 1;
  conn_send(conn, (const uint8_t *)answer, (size_t)length);
}

/* MQTT 3.1.1 §3.1, the token as the password. */
static void send_connect(struct conn *conn) {
  static uint8_t packet[PACKET_BYTES], frame[PACKET_BYTES + 16], body[PACKET_BYTES];
  const char *token = token_count > 0 ? tokens[next_token++ % token_count] : NULL;
  size_t at = 0, secret = token == NULL ? 0 : strlen(token);
  static const uint8_t begin[] = {0, 4, 'M', 'Q', 'T', 'T', 4};
  memcpy(body, begin, sizeof begin);
  at += sizeof begin;
  body[at++] = token == NULL ? 0x02 : 0xc2;
  body[at++] = 0, body[at++] = 60;
  body[at++] = 0, body[at++] = 8;
  at += (size_t)snprintf((char *)body + at, 16, "c-%06d", conn->number);
  if (token != NULL && at + secret + 16 < sizeof body) {
    body[at++] = 0, body[at++] = 1, body[at++] = 'u';
    body[at++] = (uint8_t)(secret >> 8), body[at++] = (uint8_t)secret;
    memcpy(body + at, token, secret);
    at += secret;
  }
  size_t header = fixed_header(packet, 0x10, at);
  memcpy(packet + header, body, at);
  conn_send(conn, frame, client_frame(frame, packet, header + at));
}

static void open_client(struct conn *conn) {
  if (strncmp(conn->head, "HTTP/1.1 101", 12) != 0) {
    fprintf(stderr, "not opened: %.40s\n", conn->head);
    failures++;
    return conn_close(conn);
  }
  conn->open = 1;
  if (publishes()) return send_connect(conn);
  opened++;
  if (strcmp(job.mode, "connect") != 0) return;
  static const uint8_t bye[] = {0x88, 0x82, 0x37, 0xfa, 0x21, 0x3d, 0x03 ^ 0x37, 0xe8 ^ 0xfa};
  conn_send(conn, bye, sizeof bye);
}

static void on_head(struct conn *conn, const uint8_t *bytes, size_t length) {
  size_t room = HEAD_BYTES - 1 - conn->head_length, part = length < room ? length : room;
  memcpy(conn->head + conn->head_length, bytes, part);
  conn->head_length += part;
  conn->head[conn->head_length] = 0;
  char *end = strstr(conn->head, "\r\n\r\n");
  if (end == NULL) return;
  size_t behind = conn->head_length - (size_t)(end + 4 - conn->head);
  if (conn->role == ECHO) open_echo(conn);
  else open_client(conn);
  if (conn->fd >= 0 && conn->open) {
    on_frames(conn, bytes + length - behind, behind);
    free(conn->head);
    conn->head = NULL;
  }
}

static void on_readable(struct conn *conn) {
  ssize_t length = recv(conn->fd, input, sizeof input, 0);
  if (length < 0 && errno == EAGAIN) return;
  if (length <= 0) {
    if (conn->role == CLIENT) {
      if (!conn->closing) failures++;
      finished++;
    }
    return conn_close(conn);
  }
  if (conn->open) on_frames(conn, input, (size_t)length);
  else on_head(conn, input, (size_t)length);
}

static void on_connection(void) {
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0) return;
    watch(conn_new(fd, ECHO), EPOLLIN, EPOLL_CTL_ADD);
  }
}

/* @return whether standard input has something to say. */
static int turn(int wait_ms) {
  static struct epoll_event events[EVENTS];
  int count = epoll_wait(poller, events, EVENTS, wait_ms), told = 0;
  for (int i = 0; i < count; i++) {
    struct conn *conn = events[i].data.ptr;
    if (conn == NULL) told = 1;
    else if (conn->fd < 0) continue;
    else if (conn->role == LISTENER) on_connection();
    else {
      if (events[i].events & EPOLLOUT) conn_flush(conn);
      if (events[i].events & ~(uint32_t)EPOLLOUT) on_readable(conn);
    }
  }
  bury();
  return told;
}

static struct conn *dial(void) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)job.port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0) die("socket");
  /* To a port of this machine it is done at once. */
  if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS) die("connect");
  struct conn *conn = conn_new(fd, CLIENT);
  uint8_t nonce[16];
  char key[32], head[HEAD_BYTES];
  for (int i = 0; i < 16; i++) nonce[i] = (uint8_t)rand();
  base64(nonce, 16, key);
  int length = snprintf(head, sizeof head,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n",
                        job.path, job.port, key);
  if (publishes()) length += snprintf(head + length, sizeof head - (size_t)length, "Sec-WebSocket-Protocol: mqtt\r\n");
  else if (token_count > 0)
    length += snprintf(head + length, sizeof head - (size_t)length, "Authorization: Bearer %s\r\n",
                       tokens[next_token++ % token_count]);
  length += snprintf(head + length, sizeof head - (size_t)length, "\r\n");
  watch(conn, EPOLLIN, EPOLL_CTL_ADD);
  ssize_t taken = send(fd, head, (size_t)length, MSG_NOSIGNAL);
  if (taken != length) {
    /* Not connected yet: when it is. */
    conn->unsent = malloc((size_t)length);
    memcpy(conn->unsent, head, (size_t)length);
    conn->unsent_length = (size_t)length;
    watch(conn, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
  }
  return conn;
}

static void read_tokens(void) {
  for (long i = 0; i < token_count; i++) free(tokens[i]);
  free(tokens);
  tokens = NULL;
  token_count = 0;
  next_token = job.first_token;
  if (strcmp(job.token_file, "-") == 0) return;
  FILE *file = fopen(job.token_file, "r");
  if (file == NULL) die(job.token_file);
  char *line = NULL;
  size_t size = 0;
  for (ssize_t length; (length = getline(&line, &size, file)) > 0;) {
    line[strcspn(line, "\n")] = 0;
    tokens = realloc(tokens, (size_t)(token_count + 1) * sizeof *tokens);
    tokens[token_count++] = strdup(line);
  }
  free(line);
  fclose(file);
}

/* As many messages as may be in flight, one behind the other. */
static void write_message(void) {
  size_t size = (size_t)job.payload, count = job.inflight > 0 ? (size_t)job.inflight : 1;
  uint8_t *payload = malloc(size + 1);
  memset(payload, 'x', size);
  free(message);
  message = malloc((size + 14) * count);
  message_length = client_frame(message, payload, size);
  for (size_t each = 1; each < count; each++) memcpy(message + each * message_length, message, message_length);
  free(payload);
}

static int by_value(const void *a, const void *b) {
  float left = *(const float *)a, right = *(const float *)b;
  return (left > right) - (left < right);
}

static void run_messages(int at_rate) {
  clients = calloc((size_t)job.connections, sizeof *clients);
  opened = arrived = failures = latency_count = 0;
  for (int made = 0; made < job.connections && failures == 0;) {
    for (; made < job.connections && made < (int)opened + OPENING_AT_ONCE; made++) {
      clients[made] = dial();
      clients[made]->kept = 1;
      clients[made]->number = made;
    }
    turn(1000);
  }
  while (opened < (uint64_t)job.connections && failures == 0) turn(1000);
  if (failures > 0) {
    printf("{\"failure\":\"connections were not opened\"}\n");
    goto done;
  }
  if (at_rate) {
    latency_capacity = (size_t)(job.per_second * (job.duration_ms / 1000.0 + 1)) + 1024;
    latencies = realloc(latencies, latency_capacity * sizeof *latencies);
    for (int i = 0; i < job.connections; i++) {
      clients[i]->ring = (unsigned)job.inflight * 4096;
      clients[i]->sent_at = calloc(clients[i]->ring, sizeof(uint64_t));
    }
  } else
    for (int i = 0; i < job.connections; i++) say(clients[i], (unsigned)job.inflight);
  uint64_t start = now_ns(), begin = start + (uint64_t)job.warmup_ms * 1000000u;
  uint64_t end = begin + (uint64_t)job.duration_ms * 1000000u, sent = 0, now, from = 0, counted = 0;
  double cpu = 0;
  while ((now = now_ns()) < end && failures == 0) {
    if (!recording && now >= begin) {
      recording = 1;
      cpu = cpu_micros();
      counted = arrived;
      from = now_ns();
    }
    if (!at_rate) {
      for (int some = 0; some < 16; some++) turn(0);
      continue;
    }
    for (uint64_t due = (uint64_t)((double)(now - start) * job.per_second / 1e9); sent < due; sent += (uint64_t)job.inflight)
      say(clients[sent / (uint64_t)job.inflight % (uint64_t)job.connections], (unsigned)job.inflight);
    turn(0);
  }
  double micros = (double)(now_ns() - from) / 1000, units = (double)(arrived - counted);
  cpu = cpu_micros() - cpu;
  recording = 0;
  printf("{\"messagesPerSecond\":%.1f", units * 1e6 / micros);
  if (strcmp(job.pids, "-") != 0) printf(",\"cpuMicros\":%.4f,\"busy\":%.4f", cpu / units, cpu / micros);
  if (at_rate && latency_count > 0) {
    qsort(latencies, latency_count, sizeof *latencies, by_value);
    printf(",\"p50Micros\":%.1f,\"p99Micros\":%.1f", latencies[latency_count / 2], latencies[(size_t)((double)(latency_count - 1) * 0.99)]);
  }
  if (failures > 0) printf(",\"failure\":\"connections were lost\"");
  printf("}\n");
done:
  for (int i = 0; i < job.connections; i++) {
    if (clients[i] == NULL) continue;
    clients[i]->kept = 0;
    if (clients[i]->fd >= 0) conn_close(clients[i]);
    else graveyard[buried++] = clients[i];
    bury();
  }
  free(clients);
  clients = NULL;
}

static void open_and_close(long count) {
  finished = failures = opened = 0;
  for (long made = 0; finished < (uint64_t)count && failures == 0;) {
    for (; made < count && made < (long)finished + CONNECT_AT_ONCE; made++) dial();
    turn(0);
  }
}

static void run_connects(void) {
  /* As many before they count: a process that has just begun is no measure of one that runs for weeks. */
  open_and_close(job.connections);
  uint64_t lost = failures;
  double cpu = cpu_micros();
  uint64_t from = now_ns();
  open_and_close(job.connections);
  double micros = (double)(now_ns() - from) / 1000;
  cpu = cpu_micros() - cpu;
  printf("{\"cpuMicros\":%.3f,\"busy\":%.4f", cpu / job.connections, cpu / micros);
  if (lost + failures > 0) printf(",\"failure\":\"connections failed\"");
  printf("}\n");
}

int main(int argc, char **argv) {
  struct rlimit files = {20000, 20000};
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 0))};
  socklen_t size = sizeof at;
  int on = 1;
  setrlimit(RLIMIT_NOFILE, &files);
  poller = epoll_create1(0);
  listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 4096) != 0) die("listen");
  getsockname(listener, (struct sockaddr *)&at, &size);
  watch(conn_new(listener, LISTENER), EPOLLIN, EPOLL_CTL_ADD);
  struct epoll_event stdin_event = {.events = EPOLLIN, .data.ptr = NULL};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, 0, &stdin_event) != 0) die("standard input");
  setvbuf(stdout, NULL, _IOLBF, 0);
  printf("%d\n", ntohs(at.sin_port));
  char line[4096];
  for (;;) {
    if (!turn(1000)) continue;
    if (fgets(line, sizeof line, stdin) == NULL) return 0;
    if (sscanf(line, "%15s %15s %d %255s %d %d %d %lf %d %d %ld %1023s %1023s", job.mode, job.speech, &job.port, job.path,
               &job.connections, &job.inflight, &job.payload, &job.per_second, &job.warmup_ms, &job.duration_ms,
               &job.first_token, job.token_file, job.pids) != 13) {
      printf("{\"failure\":\"not a job\"}\n");
      continue;
    }
    read_tokens();
    write_message();
    if (strcmp(job.mode, "connect") == 0) run_connects();
    else run_messages(strcmp(job.mode, "rate") == 0);
  }
}
