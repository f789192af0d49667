import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import MarkdownIt from 'markdown-it';
import { readOptions } from '../bench/options.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PARTS = fileURLToPath(new URL('site/', import.meta.url));
const MINISEARCH = join(dirname(fileURLToPath(import.meta.resolve('minisearch'))), '../umd/index.js');

/** A part of a page under a heading of its own, as the search knows it. */
interface Section {
  readonly page: string;
  readonly title: string;
  readonly href: string;
  text: string;
}

type Token = ReturnType<MarkdownIt['parse']>[number];

/** What a page of the source is called in the site; undefined: it is none. */
function pageName(path: string): string | undefined {
  const example = /^examples\/(?:([\w-]+)\/)?README\.md$/.exec(path);
  if (path === 'README.md') return 'index.html';
  if (example !== null) return example[1] === undefined ? 'examples.html' : `example-${example[1]}.html`;
  const [, name] = /^(?:docs\/)?([\w-]+)\.md$/.exec(path) ?? [];
  return name === undefined ? undefined : `${name.toLowerCase()}.html`;
}

function sources(): readonly string[] {
  const docs = readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md'));
  const examples = readdirSync(join(ROOT, 'examples')).map((name) => `examples/${name}/README.md`);
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  const place = (name: string) => readme.indexOf(`docs/${name}`) + 1 || Number.POSITIVE_INFINITY;
  // As the README leads to them.
  docs.sort((a, b) => place(a) - place(b) || a.localeCompare(b));
  return [
    'README.md',
    ...docs.map((name) => `docs/${name}`),
    'examples/README.md',
    ...examples.filter((path) => existsSync(join(ROOT, path))),
    ...['CHANGELOG.md', 'SECURITY.md'],
  ];
}

/** An anchor as GitHub makes it, so that the links of the pages hold in both places. */
function slug(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(/\s/g, '-');
}

const plain = (token: Token | undefined): string =>
  (token?.children ?? []).map(({ type, content }) => (type === 'softbreak' ? ' ' : content)).join('');

/** Makes the documentation into pages for a browser, with a search, that need no server and no network. */
export function buildSite(target: string): void {
  const markdown = new MarkdownIt({ html: true });
  const pages = sources();
  const sections: Section[] = [];
  const titles = new Map(
    pages.map((path) => [path, /^# (.+)$/m.exec(readFileSync(join(ROOT, path), 'utf8'))?.[1] ?? path]),
  );
  mkdirSync(target, { recursive: true });

  /** Where a link of a page leads in the site; what is no page is copied. undefined: nowhere. */
  const linked = (from: string, link: string): string | undefined => {
    if (/^(?:[a-z]+:|#)/.test(link)) return link;
    const [path = '', anchor] = link.split('#');
    let file = relative(ROOT, resolve(ROOT, dirname(from), path));
    if (statSync(join(ROOT, file)).isDirectory()) file = join(file, 'README.md');
    if (!existsSync(join(ROOT, file))) return undefined;
    const page = pages.includes(file) ? pageName(file) : undefined;
    if (page !== undefined) return anchor === undefined ? page : `${page}#${anchor}`;
    const copy = join('files', file);
    mkdirSync(join(target, dirname(copy)), { recursive: true });
    cpSync(join(ROOT, file), join(target, copy));
    return copy;
  };

  const render = (path: string): string => {
    const name = pageName(path) ?? '';
    const page = titles.get(path) ?? path;
    const tokens = markdown.parse(readFileSync(join(ROOT, path), 'utf8'), {});
    let section: Section = { page, title: page, href: name, text: '' };
    tokens.forEach((token, at) => {
      if (token.type === 'heading_open') {
        const title = plain(tokens[at + 1]);
        token.attrSet('id', slug(title));
        section = { page, title, href: `${name}#${slug(title)}`, text: '' };
        sections.push(section);
      } else if (token.type === 'inline') section.text += ` ${plain(token)}`;
      else if (token.type === 'fence') section.text += ` ${token.content}`;
      for (const child of token.children ?? []) {
        const attribute = child.type === 'link_open' ? 'href' : child.type === 'image' ? 'src' : undefined;
        const link = attribute && child.attrGet(attribute);
        if (!attribute || !link) continue;
        const to = linked(path, decodeURI(link));
        if (to !== undefined) child.attrSet(attribute, to);
        else child.attrs = [];
      }
    });
    return markdown.renderer.render(tokens, markdown.options, {});
  };

  const bodies = new Map(pages.map((path) => [path, render(path)]));
  for (const [path, body] of bodies) {
    const items = pages.map((other) => {
      const current = other === path ? ' aria-current="page"' : '';
      const title = markdown.utils.escapeHtml(titles.get(other) ?? other);
      return `<li><a href="${pageName(other)}"${current}>${title}</a></li>`;
    });
    writeFileSync(
      join(target, pageName(path) ?? ''),
      `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${markdown.utils.escapeHtml(titles.get(path) ?? path)} · ws-gateway</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="page.css">
</head>
<body>
<nav>
<input id="query" type="search" placeholder="Search ( / )" aria-label="Search">
<ul id="found" aria-live="polite"></ul>
<ul>
${items.join('\n')}
</ul>
</nav>
<main>
${body}</main>
<script src="minisearch.js"></script>
<script src="sections.js"></script>
<script src="search.js"></script>
</body>
</html>
`,
    );
  }
  writeFileSync(join(target, 'sections.js'), `const SECTIONS = ${JSON.stringify(sections)};\n`);
  cpSync(MINISEARCH, join(target, 'minisearch.js'));
  for (const name of ['page.css', 'search.js']) cpSync(join(PARTS, name), join(target, basename(name)));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { operands } = readOptions('site -- [FOLDER]', {}, 1, 0);
  const target = resolve(operands[0] ?? 'site');
  buildSite(target);
  console.log(`open ${join(target, 'index.html')}`);
}
