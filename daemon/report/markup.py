"""The few pieces of HTML that the report is made of; text is escaped here and nowhere else."""

from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["Html", "cards", "facts", "paragraph", "section", "table", "text"]


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(value: object) -> Html:
    """Anything as HTML: escaped, unless it is HTML."""
    return value if isinstance(value, Html) else Html(escape(str(value)))


def paragraph(words: object, kind: str = "") -> Html:
    """A paragraph; `kind` is ``note`` for what may be read later."""
    return Html(f'<p class="{kind}">{text(words)}</p>' if kind else f"<p>{text(words)}</p>")


def section(title: str, *parts: str, anchor: str) -> Html:
    """A section of the page with a heading."""
    return Html(f'<section id="{escape(anchor)}"><h2>{text(title)}</h2>{"".join(map(text, parts))}</section>')


def table(head: Sequence[object], rows: Iterable[Sequence[object]], *, numbers: int = 0) -> Html:
    """A table; the last `numbers` columns are aligned as numbers."""
    first = len(head) - numbers

    def cells(row: Sequence[object], tag: str) -> str:
        kinds = (' class="number"' if i >= first else "" for i in range(len(row)))
        return "".join(f"<{tag}{kind}>{text(cell)}</{tag}>" for kind, cell in zip(kinds, row, strict=True))

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return Html(
        f'<div class="wide"><table><thead><tr>{cells(head, "th")}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def facts(rows: Iterable[tuple[object, object]]) -> Html:
    """Names and values below each other."""
    return Html("<dl>" + "".join(f"<dt>{text(k)}</dt><dd>{text(v)}</dd>" for k, v in rows) + "</dl>")


def cards(figures: Iterable[tuple[object, object]]) -> Html:
    """Large figures with a label each, beside each other."""
    inner = "".join(f"<div><b>{text(value)}</b><span>{text(label)}</span></div>" for value, label in figures)
    return Html(f'<div class="cards">{inner}</div>')
