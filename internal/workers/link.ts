import { fromUnknown } from '../errors.js';

/** One end of the channel between a supervisor and a worker: a `ChildProcess`, or in the worker `process`. */
export interface ChannelEnd {
  readonly connected: boolean;
  send?(message: object, callback: (error: Error | null) => void): boolean;
  on(event: 'message', listener: (message: unknown, handle?: unknown) => void): unknown;
  once(event: 'disconnect', listener: () => void): unknown;
}

type Method = (...args: never[]) => unknown;
export type Arguments<Duties, Name extends keyof Duties> = Duties[Name] extends (...args: infer A) => unknown
  ? A
  : never;
export type Answer<Duties, Name extends keyof Duties> = Duties[Name] extends (...args: never[]) => infer R
  ? Awaited<R>
  : never;

/** What crosses: a question, or its answer. Arguments and values: whatever the structured clone carries. */
type Message =
  | { readonly ask: number; readonly name: string; readonly args: readonly unknown[] }
  | { readonly answer: number; readonly value: unknown }
  | { readonly answer: number; readonly failure: string };

interface Posted {
  readonly message: Message;
  readonly onFailure: (error: Error) => void;
}

interface Asked {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/**
 * Questions and answers over a channel, both ways. What one side asks in a row the other begins to
 * answer in that order. `Mine` are the questions this side answers, `Theirs` those it may ask:
 * interfaces of methods over plain data.
 *
 * What is said in one turn of the event loop crosses together: each crossing leaves some kilobytes outside
 * the heap, that come back late and in pieces, and thousands of clients at once have as many questions.
 */
export class Link<Mine extends object, Theirs extends object> {
  readonly #end: ChannelEnd;
  readonly #duties = new Map<string, Method>();
  readonly #asked = new Map<number, Asked>();
  /** Messages to be sent at the end of this turn of the event loop. */
  #posted: Posted[] = [];
  /** Work that the other side's questions have to wait for. */
  #held: Promise<unknown> | undefined;
  #lastId = 0;

  constructor(end: ChannelEnd) {
    this.#end = end;
    // Both ends are one program, the channel theirs alone. What is no list comes beside a connection.
    end.on('message', (messages) => {
      if (!Array.isArray(messages)) return;
      for (const message of messages as readonly Message[]) this.#receive(message);
    });
    end.once('disconnect', () => {
      for (const { reject } of this.#asked.values()) reject(new Error('the other process is gone'));
      this.#asked.clear();
    });
  }

  get connected(): boolean {
    return this.#end.connected;
  }

  /** Answers these questions from now on. */
  offer(duties: Partial<Mine>): void {
    for (const [name, duty] of Object.entries<unknown>({ ...duties }))
      if (typeof duty === 'function') this.#duties.set(name, duty as Method);
  }

  /** Questions that come while `work` is under way are answered after it, in their order. */
  hold(work: Promise<unknown>): void {
    const done = () => {
      if (this.#held === held) this.#held = undefined;
    };
    const held = work.then(done, done);
    this.#held = held;
  }

  /**
   * Rejects with the text of what the other side threw, when that side ends, or after `withinMs`; without it,
   * an answer is waited for as long as that side lives.
   */
  ask<Name extends keyof Theirs & string>(
    name: Name,
    args: Arguments<Theirs, Name>,
    withinMs?: number,
  ): Promise<Answer<Theirs, Name>> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const settle = (act: () => void) => {
        clearTimeout(timer);
        if (this.#asked.delete(id)) act();
      };
      const fail = (error: Error) => settle(() => reject(error));
      this.#asked.set(id, {
        resolve: (value) => settle(() => resolve(value as Answer<Theirs, Name>)),
        reject: fail,
      });
      if (withinMs !== undefined) {
        timer = setTimeout(() => fail(new Error(`no answer to ${name} within ${withinMs} ms`)), withinMs);
      }
      this.#post({ ask: id, name, args: args as readonly unknown[] }, fail);
    });
  }

  #post(message: Message, onFailure: (error: Error) => void): void {
    if (this.#posted.push({ message, onFailure }) === 1) setImmediate(this.#sendPosted);
  }

  readonly #sendPosted = (): void => {
    const posted = this.#posted;
    this.#posted = [];
    this.#send(posted);
  };

  #send(posted: readonly Posted[]): void {
    const { connected, send } = this.#end;
    const failAll = (error: Error) => {
      for (const { onFailure } of posted) onFailure(error);
    };
    if (!connected || send === undefined) return failAll(new Error('the other process is gone'));
    const messages = posted.map(({ message }) => message);
    try {
      send.call(this.#end, messages, (error) => {
        if (error !== null && error !== undefined) failAll(error);
      });
    } catch (thrown) {
      // If one message cannot be cloned, the others are still sent.
      if (posted.length > 1) for (const one of posted) this.#send([one]);
      else failAll(fromUnknown(thrown));
    }
  }

  #receive(message: Message): void {
    if ('ask' in message) void this.#answer(message.ask, message.name, message.args);
    else if ('failure' in message) this.#asked.get(message.answer)?.reject(new Error(message.failure));
    else this.#asked.get(message.answer)?.resolve(message.value);
  }

  async #answer(id: number, name: string, args: readonly unknown[]): Promise<void> {
    let message: Message;
    if (this.#held !== undefined) await this.#held;
    try {
      const duty = this.#duties.get(name);
      if (duty === undefined) throw new Error(`${name} is not answered here`);
      message = { answer: id, value: await duty(...(args as never[])) };
    } catch (thrown) {
      message = { answer: id, failure: fromUnknown(thrown).message };
    }
    // Whoever asked may be gone.
    this.#post(message, () => {});
  }
}
