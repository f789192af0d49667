import { Client, type ClientConfig, type Connection } from 'pg';
import { fromUnknown } from '../errors.js';
import { PostgresMessages } from './postgres-messages.js';

/** Parts of a connection that its types do not declare. */
interface Reading extends Connection {
  attachListeners(stream: Source): void;
}

/** The part of the stream that is used there. */
interface Source {
  on(event: string, listener: (bytes: Buffer) => void): unknown;
}

/** Authentication methods (PostgreSQL documentation, 55.7) that the library does not know. */
const UNKNOWN_LOGIN = /^Unknown authenticationOk message type (\d+)$/;
const LOGINS: Readonly<Record<string, string>> = { 2: 'Kerberos', 7: 'GSSAPI', 9: 'SSPI' };

/**
 * A client whose failures are its own. The library throws where nobody can catch it when an answer cannot be
 * read, or reads it forever, and a connection that is lost while somebody has it for more than one statement
 * is an error that nobody hears: each would end the process.
 */
export class SoundClient extends Client {
  constructor(config: ClientConfig) {
    super(config);
    // That rejects the statement that is under way.
    this.on('error', () => {});
    const connection = this.connection as Reading;
    const read = connection.attachListeners.bind(connection);
    connection.attachListeners = (stream) => {
      const messages = new PostgresMessages();
      read({
        on: (event, listener) =>
          stream.on(event, (bytes) => {
            try {
              if (event === 'data') messages.read(bytes, listener);
              else listener(bytes);
            } catch (thrown) {
              connection.emit('error', new UnreadableAnswer(thrown));
              connection.stream.destroy();
            }
          }),
      });
    };
  }
}

/** `code` is for the log. */
class UnreadableAnswer extends Error {
  readonly code: string;

  constructor(cause: unknown) {
    const { message } = fromUnknown(cause);
    super(message, { cause });
    const [, type = ''] = UNKNOWN_LOGIN.exec(message) ?? [];
    const login = LOGINS[type] ?? `method ${type}`;
    this.code = type === '' ? 'an answer that cannot be read' : `asks for a login by ${login}`;
  }
}
