import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LEVELS = new Set(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'level']);

/** What a call of the log says, what it says of something as `…`; undefined: it is no such call. */
function sentence(node: ts.Node, source: ts.SourceFile): readonly string[] | undefined {
  if (!ts.isCallExpression(node)) return undefined;
  const { expression } = node;
  const method = ts.isPropertyAccessExpression(expression)
    ? expression.name.text
    : ts.isElementAccessExpression(expression)
      ? expression.argumentExpression.getText(source)
      : '';
  if (!ts.isPropertyAccessExpression(expression) && !ts.isElementAccessExpression(expression))
    return undefined;
  if (!LEVELS.has(method) || !/(?:^|[.#])log$/i.test(expression.expression.getText(source))) return undefined;
  const last = node.arguments.at(-1);
  return last === undefined ? [] : texts(last, source);
}

function texts(node: ts.Expression, source: ts.SourceFile): readonly string[] {
  if (ts.isStringLiteralLike(node)) return [node.text];
  if (ts.isConditionalExpression(node))
    return [...texts(node.whenTrue, source), ...texts(node.whenFalse, source)];
  if (ts.isTemplateExpression(node))
    return [[node.head.text, ...node.templateSpans.map(({ literal }) => literal.text)].join('…')];
  throw new Error(`${source.fileName}: ${node.getText(source)} is no text that a test can read`);
}

/** Every sentence that the sources of a folder write to the log. */
export function logSentences(folder: string): readonly string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => {
      const path = join(folder, file);
      const source = ts.createSourceFile(
        path,
        readFileSync(join(ROOT, path), 'utf8'),
        ts.ScriptTarget.Latest,
        true,
      );
      const found: string[] = [];
      const visit = (node: ts.Node): void => {
        found.push(...(sentence(node, source) ?? []));
        node.forEachChild(visit);
      };
      visit(source);
      return found;
    });
}
