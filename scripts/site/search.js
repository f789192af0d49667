/* global MiniSearch, SECTIONS */
const search = new MiniSearch({
  fields: ['title', 'text'],
  storeFields: ['title', 'page', 'href'],
  // Names of variables, metrics and codes are words too.
  tokenize: (text) => text.toLowerCase().match(/[\p{L}\p{N}_-]+/gu) ?? [],
  searchOptions: { boost: { title: 3 }, prefix: true, fuzzy: 0.15, combineWith: 'AND' },
});
search.addAll(SECTIONS.map((section, id) => ({ id, ...section })));

const query = document.getElementById('query');
const found = document.getElementById('found');

query.addEventListener('input', () => {
  const items = search
    .search(query.value)
    .slice(0, 12)
    .map(({ title, page, href }) => {
      const link = document.createElement('a');
      link.href = href;
      link.textContent = title;
      const where = document.createElement('small');
      where.textContent = page;
      link.append(where);
      const item = document.createElement('li');
      item.append(link);
      return item;
    });
  found.replaceChildren(...items);
});
document.addEventListener('keydown', (event) => {
  if (event.key === '/' && document.activeElement !== query) {
    event.preventDefault();
    query.focus();
  }
});
