import assert from 'node:assert/strict';
import { PostgresMessages } from '../../internal/store/postgres-messages.js';
import { cut } from '../cuts.js';
import { kindBy, type Target } from '../target.js';

/** Types of messages that begin a session, answer, or say what is wrong. */
const KNOWN = Buffer.from('RSZENTD');

/** What a store's server says, message by message. */
export const postgres: Target = {
  name: 'postgres',
  maxBytes: 4_096,
  words: [
    'R\0\0\0\x08\0\0\0\0',
    'S\0\0\0\x0ax\0yyy\0',
    'Z\0\0\0\x05I',
    'E\0\0\0\x0dSERROR\0\0',
    'N\0\0\0\x05\0',
    'E\0\0\0\x04',
    'T\0\0\0\x06\0\0',
    'D\0\0\0\x0b\0\x01\0\0\0\x01x',
    '\0\0\0\x03',
    '\0\xff\xff\xff',
    '\xff\xff\xff\xff',
  ].map((word) => Buffer.from(word, 'latin1')),

  run(input, random) {
    const whole = messagesIn([input]);
    const pieces = messagesIn(cut(input, random));
    assert.deepEqual(pieces, whole, 'a cut changes what is read');
    const read = Buffer.concat(whole.messages);
    assert.ok(input.subarray(0, read.length).equals(read), 'messages are what came, without gaps');
    for (const message of whole.messages) {
      assert.equal(message.readUInt32BE(1) + 1, message.length);
      // The library looks for texts up to a NUL, wherever that is.
      if (message[0] === 0x45 || message[0] === 0x4e) assert.equal(message.at(fieldsEnd(message)), 0);
    }
    return kindBy([
      ...whole.messages.map(([type = 0]) => (KNOWN.includes(type) ? String.fromCharCode(type) : 'other')),
      whole.fault,
    ]);
  },
};

/** Where the empty field stands that ends the list; the length if none does. */
function fieldsEnd(message: Buffer): number {
  let at = 5;
  while (at < message.length && message[at] !== 0) at = message.indexOf(0, at) + 1 || message.length;
  return at;
}

function messagesIn(reads: readonly Buffer[]): { readonly messages: Buffer[]; readonly fault: string } {
  const messages: Buffer[] = [];
  const reader = new PostgresMessages();
  try {
    for (const read of reads) reader.read(read, (message) => messages.push(Buffer.from(message)));
    return { messages, fault: '' };
  } catch (thrown) {
    assert.ok(thrown instanceof RangeError);
    return { messages, fault: thrown.message.replaceAll(/\d+/g, 'N') };
  }
}
