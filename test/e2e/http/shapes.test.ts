import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { talk } from '../../support/clients/talk.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { RecordingUpstream } from '../../support/upstreams/recording-upstream.js';

/**
 * The cases of h1spec (https://github.com/uNetworking/h1spec), in words of our own: what is sent, and which
 * status is right; undefined: the request is not whole, and nothing may be answered yet.
 */
const POST_CHUNKED = 'POST /hello HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n';

const SHAPES: readonly (readonly [name: string, request: string, status: RegExp | undefined])[] = [
  ...[
    ...['G', 'GET ', 'GET /raw', 'GET /raw ', 'GET /raw HTTP', 'GET /raw HTTP/1.1', 'GET /raw HTTP/1.1\r'],
    ...['GET /raw HTTP/1.1\r\n', 'GET /raw HTTP/1.1\r\nHos', 'GET /raw HTTP/1.1\r\nHost:'],
    ...['GET /raw HTTP/1.1\r\nHost: ', 'GET /raw HTTP/1.1\r\nHost: h', 'GET /raw HTTP/1.1\r\nHost: h\r'],
    ...['GET /raw HTTP/1.1\r\nHost: h\r\n', 'GET /raw HTTP/1.1\r\nHost: h\r\n\r'],
  ].map((request) => [`the piece ${JSON.stringify(request)}`, request, undefined] as const),
  ['no version', 'GET /raw \r\n\r\n', /^400/],
  ['an Expect without a body', 'GET /raw HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n', /^200/],
  ['an Expect of something else', 'GET /raw HTTP/1.1\r\nHost: h\r\nExpect: more\r\n\r\n', /^200/],
  ['a plain GET', 'GET /raw HTTP/1.1\r\nHost: h\r\n\r\n', /^200/],
  ['odd case, a tab, an empty value', 'GET /raw HTTP/1.1\r\nhoSt:\th\r\nempty:\r\n\r\n', /^200/],
  ['brackets in a name', 'GET /raw HTTP/1.1\r\nHost: h\r\nX-Invalid[]: x\r\n\r\n', /^400/],
  ['no Host', 'GET /raw HTTP/1.1\r\nContent-Length: 5\r\n\r\n', /^400/],
  ['two Hosts', 'GET /raw HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', /^400/],
  ['a Host with a path', 'GET /raw HTTP/1.1\r\nHost: a/b\r\n\r\n', /^400/],
  ['a Host with port 0', 'GET /raw HTTP/1.1\r\nHost: a:0\r\n\r\n', /^400/],
  ['a Host with a port beyond 65535', 'GET /raw HTTP/1.1\r\nHost: a:65536\r\n\r\n', /^400/],
  ['a Host with the last port', 'GET /raw HTTP/1.1\r\nHost: a:65535\r\n\r\n', /^200/],
  ['a Host with an empty port', 'GET /raw HTTP/1.1\r\nHost: a:\r\n\r\n', /^200/],
  [
    'a length beyond all bounds',
    `GET /raw HTTP/1.1\r\nHost: h\r\nContent-Length: -${'1'.repeat(27)}\r\n\r\n`,
    /^400/,
  ],
  ['a negative length', 'GET /raw HTTP/1.1\r\nHost: h\r\nContent-Length: -1234\r\n\r\n', /^400/],
  ['a length that is no number', 'GET /raw HTTP/1.1\r\nHost: h\r\nContent-Length: abc\r\n\r\n', /^400/],
  ['an empty value', 'GET /raw HTTP/1.1\r\nHost: h\r\nX-Empty: \r\n\r\n', /^200/],
  ['a control character', 'GET /raw HTTP/1.1\r\nHost: h\r\nX-Bad: a\x07\r\n\r\n', /^400/],
  ['an unknown version', 'GET /raw HTTP/9.9\r\nHost: h\r\n\r\n', /^(?:400|505)/],
  ['words before the method', 'Extra lineGET /raw HTTP/1.1\r\nHost: h\r\n\r\n', /^400/],
  ['a bare CR at a line’s beginning', 'GET /raw HTTP/1.1\r\nHost: h\r\n\rX: y\r\n\r\n', /^400/],
  ['a body by length', 'POST /raw HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello', /^200/],
  [
    'a chunked body',
    'POST /raw HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nc\r\nHello world1\r\n0\r\n\r\n',
    /^200/,
  ],
  [
    'both, in odd case',
    'POST /raw HTTP/1.1\r\nHost: h\r\ncontent-LengtH: 5\r\nTransFer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    /^400/,
  ],
];

const SECOND = 'GET /raw/two HTTP/1.1\r\nHost: h\r\n\r\n';

/** Heads of which two readers could take the body for two different ones. */
const FRAMINGS: readonly (readonly [name: string, headers: string, body: string])[] = [
  ['CL.TE', 'Content-Length: 4\r\nTransfer-Encoding: chunked', '0\r\n\r\n'],
  ['TE.CL', 'Transfer-Encoding: chunked\r\nContent-Length: 4', '5c\r\n'],
  ['CL.TE, another case', 'content-length: 4\r\ntransfer-encoding: Chunked', '0\r\n\r\n'],
  ['TE.TE, two lines', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: x', '0\r\n\r\n'],
  ['TE.TE, other order', 'Transfer-Encoding: x\r\nTransfer-Encoding: chunked', '0\r\n\r\n'],
  ['TE.TE, a list', 'Transfer-Encoding: chunked, identity', '0\r\n\r\n'],
  ['TE in quotes', 'Transfer-Encoding: "chunked"', '0\r\n\r\n'],
  ['TE with a parameter', 'Transfer-Encoding: chunked;a=b', '0\r\n\r\n'],
  ['TE with a comma', 'Transfer-Encoding: chunked,', '0\r\n\r\n'],
  ['TE empty', 'Transfer-Encoding:', '0\r\n\r\n'],
  ['TE with a byte beyond ASCII', 'Transfer-Encoding: \xa0chunked', '0\r\n\r\n'],
  ['TE with NUL', 'Transfer-Encoding: chunked\0', '0\r\n\r\n'],
  ['TE behind a bare LF', 'X-A: b\nTransfer-Encoding: chunked', '0\r\n\r\n'],
  ['TE behind a bare CR', 'X-A: b\rTransfer-Encoding: chunked', '0\r\n\r\n'],
  ['TE, a tab before the colon', 'Transfer-Encoding\t: chunked', '0\r\n\r\n'],
  ['CL, a blank before the colon', 'Content-Length : 4', 'abcd'],
  ['CL with an underscore and 0', 'Content-Length: 1_0', 'abcd'],
  ['CL with an exponent', 'Content-Length: 1e1', 'abcd'],
  ['CL with words', 'Content-Length: 4 bytes', 'abcd'],
  ['CL twice, the same', 'Content-Length: 4\r\nContent-Length: 4', 'abcd'],
  ['CL beyond 64 bits', 'Content-Length: 18446744073709551620', 'abcd'],
];

/** Chunked bodies that are none. */
const CHUNKS: readonly (readonly [name: string, body: string])[] = [
  ['LF for CRLF behind the size', '5\nhello\r\n0\r\n\r\n'],
  ['LF for CRLF behind the data', '5\r\nhello\n0\r\n\r\n'],
  ['a bare CR behind the size', '5\rhello\r\n0\r\n\r\n'],
  ['0x before the size', '0x5\r\nhello\r\n0\r\n\r\n'],
  ['a minus before the size', '-5\r\nhello\r\n0\r\n\r\n'],
  ['an underscore in the size', '0_5\r\nhello\r\n0\r\n\r\n'],
  ['no size', '\r\nhello\r\n0\r\n\r\n'],
  ['a bare CR in an extension', '5;a=\rb\r\nhello\r\n0\r\n\r\n'],
  ['a bare LF in an extension', '5;a=\nb\r\nhello\r\n0\r\n\r\n'],
  ['more data than the size says', '5\r\nhello!\r\n0\r\n\r\n'],
  ['a folded trailer', '5\r\nhello\r\n0\r\nX-A: b\r\n c\r\n\r\n'],
  ['a trailer without a colon', '5\r\nhello\r\n0\r\nGET /raw/two HTTP/1.1\r\n\r\n'],
];

describe('the shape of a request', () => {
  let recorder: RecordingUpstream;
  let gateway: Gateway;
  before(async () => {
    recorder = await RecordingUpstream.start();
    gateway = await startGateway({
      env: { JWT_EXPECTED_ISSUER: 'https://issuer.example' },
      routes: [
        { prefix: '/raw', upstream: recorder.url, auth: 'public' },
        { prefix: '/hello', respond: { status: 200, body: 'hi' }, auth: 'public' },
      ],
      waitFor: 'alive',
    });
  });
  after(async () => {
    await gateway.stop();
    recorder.close();
  });
  afterEach(() => recorder.reset());

  for (const body of ['', 'Content-Length: 5\r\n\r\nhello'])
    it(`${body === '' ? 'without' : 'with'} a body: its connection lasts a second longer than is said`, async () => {
      const heard = await talk(gateway.port, [`POST /raw HTTP/1.1\r\nHost: h\r\n${body || '\r\n'}`]);
      assert.match(heard, /^HTTP\/1\.1 200 .*\r\nKeep-Alive: timeout=9\r\n/s);
    });

  for (const [name, request, status] of SHAPES)
    it(`${name}: ${status === undefined ? 'is waited for' : `is ${status.source.slice(1)}`}`, async () => {
      const { heard, client } = say(request);
      if (status === undefined) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        assert.equal(heard(), '');
      } else {
        await eventually(() => heard().includes('\r\n\r\n'));
        // A 100 is no answer yet.
        const final = await eventually(() => /HTTP\/1\.1 ([2-5].*)/.exec(heard())?.[1] ?? false);
        assert.match(final, status);
      }
      client.destroy();
    });

  for (const [name, headers, body] of FRAMINGS)
    for (const before of ['', 'GET /hello HTTP/1.1\r\nHost: h\r\n\r\n'])
      it(`${name}${before === '' ? '' : ', pipelined'}: is 400, the last answer, and nothing reaches an upstream`, async () => {
        const { heard, client } = say(
          `${before}POST /raw HTTP/1.1\r\nHost: h\r\n${headers}\r\n\r\n${body}${SECOND}`,
        );
        await new Promise((resolve) => client.once('close', resolve));
        const statuses = heard().match(/HTTP\/1\.1 \d+/g);
        assert.deepEqual(statuses, [...(before === '' ? [] : ['HTTP/1.1 200']), 'HTTP/1.1 400'], heard());
        assert.equal(recorder.heard.join(''), '');
      });

  for (const [name, body] of CHUNKS)
    it(`a chunked body with ${name}: never becomes a whole request, nor what is behind it another`, async () => {
      const { answer } = recorder;
      recorder.answer = '';
      const { heard, client } = say(
        `POST /raw HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`,
      );
      await eventually(() => recorder.heard.join('').includes('abc'));
      client.write(`${body}${SECOND}`, 'latin1');
      await new Promise((resolve) => client.once('close', resolve));
      recorder.answer = answer;
      assert.match(heard(), /^HTTP\/1\.1 400 /);
      assert.doesNotMatch(recorder.heard.join(''), /\r\n0\r\n|two/);
    });

  for (const [name, request, code] of [
    ['a tunnel', 'CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n', 'ERR_METHOD_UNKNOWN'],
    [
      'too many lines',
      `GET /hello HTTP/1.1\r\nHost: h\r\n${'A: b\r\n'.repeat(100)}\r\n`,
      'ERR_HEAD_TOO_LARGE',
    ],
    ['no chunk', `${POST_CHUNKED}zz\r\n`, 'ERR_REQUEST_MALFORMED'],
    ['no method', 'NONE /hello HTTP/1.1\r\nHost: h\r\n\r\n', 'ERR_REQUEST_MALFORMED'],
  ] as const)
    it(`${name}: is refused with a problem that says its code`, async () => {
      const heard = await talk(gateway.port, [request]);
      const [head = '', body = ''] = heard.split('\r\n\r\n');
      const { type, title, status, code: said } = JSON.parse(body) as Record<string, unknown>;
      assert.match(head, /\r\nContent-Type: application\/problem\+json(\r\n|$)/);
      assert.deepEqual([type, said], ['about:blank', code]);
      assert.equal(head.split('\r\n')[0], `HTTP/1.1 ${status} ${title}`);
    });

  describe('smuggling', () => {
    const post = (headers: string, body: string) =>
      `POST /raw/one HTTP/1.1\r\nHost: h\r\n${headers}\r\n\r\n${body}`;
    const refused: readonly (readonly [name: string, request: string])[] = [
      ['CL.TE', post('Content-Length: 6\r\nTransfer-Encoding: chunked', `0\r\n\r\n${SECOND}`)],
      ['TE.CL', post('Transfer-Encoding: chunked\r\nContent-Length: 4', `5\r\nhello\r\n0\r\n\r\n`)],
      ['TE twice', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity', `0\r\n\r\n${SECOND}`)],
      ['TE list', post('Transfer-Encoding: chunked, chunked', `0\r\n\r\n${SECOND}`)],
      ['TE gzip', post('Transfer-Encoding: gzip, chunked', `0\r\n\r\n${SECOND}`)],
      ['TE xchunked', post('Transfer-Encoding: xchunked', `0\r\n\r\n${SECOND}`)],
      ['TE identity', post('Transfer-Encoding: identity', SECOND)],
      ['TE with a tab', post('Transfer-Encoding:\x0bchunked', `0\r\n\r\n${SECOND}`)],
      ['TE, blank before the colon', post('Transfer-Encoding : chunked', `0\r\n\r\n${SECOND}`)],
      ['two CL', post('Content-Length: 0\r\nContent-Length: 44', SECOND)],
      ['CL list', post('Content-Length: 3, 3', `abc${SECOND}`)],
      ['CL with a sign', post('Content-Length: +3', `abc${SECOND}`)],
      ['CL negative', post('Content-Length: -1', SECOND)],
      ['CL empty', post('Content-Length:', SECOND)],
      ['CL hex', post('Content-Length: 0x3', `abc${SECOND}`)],
      ['folded line', post('X-A: b\r\n Content-Length: 3', `abc${SECOND}`)],
      ['folded TE', post('Transfer-Encoding:\r\n chunked', `0\r\n\r\n${SECOND}`)],
      ['two Hosts', `GET /raw HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n${SECOND}`],
      ['no Host', `GET /raw HTTP/1.1\r\n\r\n${SECOND}`],
      ['blank before a colon', `GET /raw HTTP/1.1\r\nHost: h\r\nX-A : b\r\n\r\n${SECOND}`],
      ['bare CR', `GET /raw HTTP/1.1\r\nHost: h\r\nX-A: b\rX-B: c\r\n\r\n${SECOND}`],
      ['NUL', `GET /raw HTTP/1.1\r\nHost: h\r\nX-A: b\0c\r\n\r\n${SECOND}`],
      ['no name', `GET /raw HTTP/1.1\r\nHost: h\r\n: b\r\n\r\n${SECOND}`],
      ['userinfo', `GET http://a@h/raw HTTP/1.1\r\nHost: h\r\n\r\n${SECOND}`],
      ['another host', `GET http://other/raw HTTP/1.1\r\nHost: h\r\n\r\n${SECOND}`],
    ];
    for (const [name, request] of refused)
      it(`of ${name} is 400, the connection closed, and nothing reaches an upstream`, async () => {
        const heard = await talk(gateway.port, [request]);
        assert.match(heard, /^HTTP\/1\.1 400 /, heard);
        assert.match(heard, /\r\nContent-Type: application\/problem\+json\r\n.*ERR_REQUEST_MALFORMED/s);
        assert.equal(heard.match(/HTTP\/1\.1 /g)?.length, 1, heard);
        assert.equal(recorder.heard.join(''), '');
      });

    for (const [name, chunks] of [
      ['a size that is none', 'zz\r\nhello\r\n0\r\n\r\n'],
      ['no line end behind the data', '5\r\nhelloX0\r\n\r\n'],
      ['a sign', '+5\r\nhello\r\n0\r\n\r\n'],
      ['a size beyond all bounds', `${'f'.repeat(20)}\r\nhello`],
      ['a blank before the size', ' 5\r\nhello\r\n0\r\n\r\n'],
    ] as const)
      it(`of a chunk with ${name} never becomes a whole request`, async () => {
        const before = recorder.answer;
        recorder.answer = '';
        const heard = await talk(gateway.port, [
          post('Transfer-Encoding: chunked', '3\r\nabc\r\n'),
          `${chunks}${SECOND}`,
        ]);
        recorder.answer = before;
        assert.match(heard, /^HTTP\/1\.1 400 /, heard);
        for (const text of recorder.heard) {
          assert.doesNotMatch(text, /\r\n0\r\n\r\n/);
          assert.doesNotMatch(text, /two/);
        }
      });

    it('of a bad chunk while the answer is under way cuts the connection, and says nothing into the answer', async () => {
      const before = recorder.answer;
      recorder.answer = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n';
      const heard = await talk(gateway.port, [
        post('Transfer-Encoding: chunked', '3\r\nabc\r\n'),
        '',
        '',
        '',
        `zz\r\n${SECOND}`,
      ]);
      recorder.answer = before;
      assert.equal(heard.match(/HTTP\/1\.1 /g)?.length, 1, heard);
      assert.doesNotMatch(heard, /\r\n0\r\n/);
    });

    it('has no way through the path', async () => {
      const paths = [
        ...[
          '/raw//x',
          '//raw/x',
          '/raw/../api',
          '/raw/..;/api',
          '/raw/.;x=1/y',
          '/raw/%2e.%3B/api',
          '/raw/..;x',
          '/raw/%2e%2e/api',
          '/raw/%2fx',
          '/raw/%5cx',
          '/raw/\\x',
          '/raw/%00',
          '/raw;p/x',
          '/raw%3Bp/x',
          '/;p/raw/x',
        ],
        ...['/raw/#x', '/raw/\xe4', '/raw/.', '/raw/%zz', '/raw/..%5cx', 'raw', '*', '/raw/%c0%ae'],
      ];
      for (const path of paths) {
        const heard = await talk(gateway.port, [`GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`, '']);
        assert.match(heard, /^HTTP\/1\.1 400 /, `${path}: ${heard}`);
      }
      assert.equal(recorder.heard.join(''), '');
      await talk(gateway.port, [`GET /raw/a%20b/;p=1/..a;p/%61 HTTP/1.1\r\nHost: h\r\n\r\n`]);
      assert.match(recorder.heads[0] ?? '', /^GET \/a%20b\/;p=1\/\.\.a;p\/%61 HTTP/);
    });

    it('has no way through an answer of the upstream', async () => {
      const bad = [
        'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc',
        'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
        'HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n',
        'HTTP/1.1 200 OK\r\nX: a\rY: b\r\n\r\n',
        'HTTP/1.1 2000 OK\r\n\r\n',
        'garbage\r\n\r\n',
      ];
      const before = recorder.answer;
      for (const answer of bad) {
        recorder.answer = answer;
        recorder.reset();
        const heard = await talk(gateway.port, ['GET /raw HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n']);
        assert.match(heard, /^HTTP\/1\.1 502 /, `${answer}: ${heard}`);
      }
      recorder.answer = before;
    });

    it('shows nobody what an upstream says behind the answer to somebody else', async () => {
      const forged = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil';
      const before = recorder.answer;
      for (const [method, answer] of [
        ['GET', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'],
        ['GET', `HTTP/1.1 204 No Content\r\nContent-Length: ${forged.length}\r\n\r\n`],
        ['GET', 'HTTP/1.1 304 Not Modified\r\n\r\n'],
        ['HEAD', `HTTP/1.1 200 OK\r\nContent-Length: ${forged.length}\r\n\r\n`],
        ['HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
        ['GET', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'],
        ['POST', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'],
      ] as const) {
        recorder.answer = `${answer}${forged}`;
        const length = method === 'POST' ? 'Content-Length: 0\r\n' : '';
        const first = await talk(gateway.port, [`${method} /raw HTTP/1.1\r\nHost: h\r\n${length}\r\n`]);
        recorder.answer = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood';
        const second = await talk(gateway.port, ['GET /raw HTTP/1.1\r\nHost: h\r\n\r\n']);
        assert.doesNotMatch(first + second, /evil/, answer);
        assert.match(second, /good$/, answer);
      }
      recorder.answer = before;
    });
  });

  function say(text: string) {
    const client = connect(gateway.port, '127.0.0.1').on('error', () => {});
    let heard = '';
    client.on('data', (chunk: Buffer) => {
      heard += chunk.toString('latin1');
    });
    client.write(text, 'latin1');
    void once(client, 'connect');
    return { client, heard: () => heard };
  }
});
