import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { z } from 'zod';

type Schema = Readonly<Record<string, unknown>>;
interface Response {
  readonly $ref?: string;
  readonly content?: { readonly 'application/json': { readonly schema: Schema } };
}
interface Document {
  readonly paths: Readonly<
    Record<string, Readonly<Record<string, { readonly responses: Record<string, Response> }>>>
  >;
  readonly components: { readonly schemas: Schema; readonly responses: Readonly<Record<string, Response>> };
}

/** docs/openapi.yaml, which describes the admin API. */
export const document = parse(
  await readFile(new URL('../../../docs/openapi.yaml', import.meta.url), 'utf8'),
) as Document;

/** What an operation is documented to answer, by status. */
export function responsesOf(method: string, url: string): Readonly<Record<string, Response>> | undefined {
  const [path = ''] = url.split('?');
  const template = path
    .replace(/^(\/admin\/sessions\/)[\da-f-]{36}$/, '$1{id}')
    .replace(/^(\/admin\/bans\/)[^/]+$/, '$1{sub}');
  const operations = document.paths[template];
  return (operations?.[method.toLowerCase()] ?? Object.values(operations ?? {})[0])?.responses;
}

/**
 * The status must be a documented one of the operation (of any, where the method is
 * refused), the body must fit it.
 */
export function checkAgainstDocument(method: string, url: string, status: number, body: unknown): void {
  const responses = responsesOf(method, url);
  assert.ok(responses, `${method} ${url} is not documented`);
  const response = resolve(responses[status]);
  const schema = response?.content?.['application/json'].schema;
  assert.ok(schema, `${method} ${url} is not documented to answer ${status}: ${JSON.stringify(body)}`);
  const whole = JSON.stringify({ ...schema, $defs: document.components.schemas });
  const checked = z.fromJSONSchema(JSON.parse(whole.replaceAll('#/components/schemas/', '#/$defs/')));
  const result = checked.safeParse(body);
  assert.ok(
    result.success,
    `${method} ${url} ${status}: ${result.error?.message} in ${JSON.stringify(body)}`,
  );
}

function resolve(response: Response | undefined): Response | undefined {
  const name = response?.$ref?.split('/').at(-1);
  return name === undefined ? response : document.components.responses[name];
}
