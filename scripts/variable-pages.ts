import { readFileSync } from 'node:fs';
import { VARIABLES, type Variable } from '../internal/config/environment/variables.js';
import { table } from './markdown-table.js';
import { VARIABLE_GROUPS } from './variable-docs.js';

const VARIABLES_BY_NAME: ReadonlyMap<string, Variable<unknown>> = new Map(Object.entries(VARIABLES));

/** docs/configuration.md as it is, with its tables of variables made anew. */
export function configuration(): string {
  const page = readFileSync(new URL('../docs/configuration.md', import.meta.url), 'utf8');
  return page.replace(
    /(<!-- variables: (.+), made by `npm run docs` -->\n\n)[\s\S]*?(\n<!-- end -->)/g,
    (_, start: string, group: string, end: string) => start + groupTable(group) + end,
  );
}

function groupTable(group: string): string {
  return table(
    ['variable', 'meaning', 'must be', 'default'],
    Object.entries(VARIABLE_GROUPS[group] ?? {}).map(([name, meaning]) => {
      const variable = variableNamed(name);
      return [
        name,
        literal(meaning),
        literal(variable.reader.allowed),
        literal(variable.default ?? '', /[*_]/g),
      ];
    }),
  );
}

/** Signs that Markdown would take for emphasis, escaped outside of code. */
function literal(text: string, signs = /\*/g): string {
  return text
    .split('`')
    .map((part, index) => (index % 2 === 0 ? part.replaceAll(signs, '\\$&') : part))
    .join('`');
}

const ENV_HEAD = `# Every variable with its default. Take the # off a line to change it; docs/configuration.md explains all of them.
# The two lines without # make this file start with the routes.yaml beside it:
#   node --env-file=.env.example dist/cmd/main.js check
# Made by \`npm run docs\`.
`;

/** The lines without #. */
const GIVEN: ReadonlyMap<string, string> = new Map([
  ['ROUTE_FILE', './routes.yaml'],
  ['JWKS_URL', 'http://127.0.0.1:9000/jwks'],
]);

/** Longest list of what is allowed that is repeated, in characters. */
const MAX_ALLOWED_CHARS = 60;

/** The whole of .env.example. */
export function envExample(): string {
  const groups = Object.entries(VARIABLE_GROUPS).map(
    ([group, variables]) =>
      `\n# ${group}\n${Object.entries(variables)
        .map(([name, meaning]) => envLines(name, meaning))
        .join('')}`,
  );
  return ENV_HEAD + groups.join('');
}

function envLines(name: string, meaning: string): string {
  const { reader, default: fallback = '', secret } = variableNamed(name);
  const [sentence = ''] = plain(meaning).split('. ');
  const must = reader.allowed.length <= MAX_ALLOWED_CHARS ? ` (${reader.allowed})` : '';
  const given = GIVEN.get(name);
  const line = given === undefined ? `#${name}=${fallback}` : `${name}=${given}`;
  return `# ${sentence}${must}\n${line}\n${secret ? `#${name}_FILE=\n` : ''}`;
}

/** Without the signs of Markdown. */
function plain(text: string): string {
  return text.replaceAll(/`([^`]*?) *`/g, '$1').replaceAll(/\[([^\]]+)\]\([^)]*\)/g, '$1');
}

function variableNamed(name: string): Variable<unknown> {
  const variable = VARIABLES_BY_NAME.get(name);
  if (variable === undefined) throw new RangeError(`${name} is no variable`);
  return variable;
}
