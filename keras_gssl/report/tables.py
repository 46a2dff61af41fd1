"""Tables as HTML; a long one is of use with a thousand classes: sorted by any column, searched, scrolled in its place.

Without scripts it is a plain table; printed, it is whole.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

LONG = 12  # rows from which a search is of use

STYLE = """
th button { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; }
th button::after { content: " \\2195"; opacity: .5; }
th[aria-sort=ascending] button::after { content: " \\2191"; opacity: 1; }
th[aria-sort=descending] button::after { content: " \\2193"; opacity: 1; }
.long input { font: inherit; width: min(100%, 20rem); margin: 0 0 .5rem; padding: .3rem .6rem; color: inherit;
  background: var(--paper); border: 1px solid var(--faint); border-radius: .4rem; }
.long .scroll { max-height: 32rem; overflow: auto; }
.long thead th { position: sticky; top: 0; background: var(--card); }
@media print { .long .scroll { max-height: none; overflow: visible; } .long input { display: none; } }
"""

SCRIPT = """
document.querySelectorAll('.long').forEach(part => {
  const body = part.querySelector('tbody'), heads = [...part.querySelectorAll('th')];
  const number = text => parseFloat(text.replace(/,/g, ''));
  heads.forEach((head, column) => {
    const button = document.createElement('button');
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener('click', () => {
      const up = head.getAttribute('aria-sort') !== 'ascending';
      heads.forEach(other => other.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
      const text = row => row.cells[column].textContent;
      [...body.rows].sort((one, other) => {
        const [a, b] = [number(text(one)), number(text(other))];
        if (column === 0) return (up ? 1 : -1) * text(one).localeCompare(text(other), undefined, {numeric: true});
        if (isNaN(a) || isNaN(b)) return isNaN(a) - isNaN(b);
        return up ? a - b : b - a;
      }).forEach(row => body.append(row));
    });
  });
  const search = part.querySelector('input'), left = part.querySelector('output');
  if (search) search.addEventListener('input', () => {
    const wanted = search.value.toLocaleLowerCase();
    let shown = 0;
    [...body.rows].forEach(row => {
      row.hidden = !row.cells[0].textContent.toLocaleLowerCase().includes(wanted);
      shown += !row.hidden;
    });
    left.textContent = wanted ? `${shown} of ${body.rows.length}` : '';
  });
});
"""


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    head = "".join(f"<th>{html.escape(str(column))}</th>" for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def long_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], what: str) -> str:
    """A table as HTML that can be sorted, and searched where it is long.

    Args:
        columns, rows: As of `table`; the first column is what is searched.
        what: What the rows are, such as `"class"`, for the search field.
    """
    listed = list(rows)
    search = ""
    if len(listed) >= LONG:
        label = html.escape(f"Find a {what}")
        search = f'<input type="search" placeholder="{label}" aria-label="{label}"> <output class="soft"></output>'
    return f'<div class="long">{search}{table(columns, listed)}</div>'
