import { styleText } from 'node:util';

type Style = 'bold' | 'dim' | 'green' | 'red' | 'cyan';

/** What the demo prints. */
export class Screen {
  readonly #colours: boolean;

  constructor(
    readonly output: NodeJS.WriteStream,
    colours: boolean,
  ) {
    this.#colours = colours;
  }

  line(text = ''): void {
    this.output.write(text === '' ? '\n' : `  ${text}\n`);
  }

  heading(text: string, aside = ''): void {
    this.line();
    this.line(this.#paint('bold', text) + (aside === '' ? '' : `  ${this.#paint('dim', aside)}`));
  }

  /** A name, a value, and a remark in columns. */
  row(name: string, value: string, remark = ''): void {
    const spaced = remark === '' ? value : `${value.padEnd(30)}  ${this.#paint('dim', remark)}`;
    this.line(`  ${name.padEnd(12)}${this.#paint('cyan', spaced)}`);
  }

  good(title: string, details: readonly string[]): void {
    this.line(`  ${this.#paint('green', '✓')} ${title}`);
    for (const detail of details) this.line(`      ${this.#paint('dim', detail)}`);
  }

  bad(title: string, problem: string): void {
    this.line(`  ${this.#paint('red', '✗')} ${title}`);
    this.line(`      ${this.#paint('red', problem)}`);
  }

  /** A remark about what was done, and a line to paste. */
  paste(remark: string, command: string): void {
    this.line();
    this.line(`  ${this.#paint('dim', `# ${remark}`)}`);
    // From the first column and unbroken: it is to be copied.
    this.output.write(`${command}\n`);
  }

  dim(text: string): void {
    this.line(this.#paint('dim', text));
  }

  #paint(style: Style, text: string): string {
    return this.#colours ? styleText(style, text) : text;
  }
}
