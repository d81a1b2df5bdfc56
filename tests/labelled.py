"""What a page says under a label: the reading of an HTML page that looks for names beside values.

A label is a visible name: dt for its dd, th for its row or column, summary for its details, a
heading for what follows it, a link's or a definition's own words for where it leads.
"""

from html.parser import HTMLParser

VOID = frozenset({"meta", "link", "br", "img", "input", "hr", "use", "rect", "path", "circle"})
HEADINGS = ("h1", "h2", "h3", "h4")


class Node:
    """An element of a page; texts are strings among its children."""

    def __init__(self, tag: str, attrs: dict[str, str], parent: "Node | None") -> None:
        self.tag, self.attrs, self.parent = tag, attrs, parent
        self.children: list[Node | str] = []

    def walk(self) -> "list[Node]":
        found = [self]
        for child in self.children:
            if isinstance(child, Node):
                found += child.walk()
        return found

    @property
    def own(self) -> str:
        """What a reader sees of it."""
        return " ".join(child if isinstance(child, str) else child.own for child in self.children)

    @property
    def told(self) -> str:
        """What a reader sees of it, where its links lead, and its times to the second."""
        here = [self.attrs[name] for name in ("href", "datetime") if name in self.attrs]
        return " ".join(
            [*here, *(child if isinstance(child, str) else child.told for child in self.children)]
        )

    def elements(self) -> "list[Node]":
        return [child for child in self.children if isinstance(child, Node)]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.at = self.root = Node("#", {}, None)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attrs}, self.at)
        self.at.children.append(node)
        if tag not in VOID:
            self.at = node

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attrs}, self.at)
        self.at.children.append(node)

    def handle_endtag(self, tag: str) -> None:
        node: Node | None = self.at
        while node is not None and node.tag != tag:
            node = node.parent
        if node is not None and node.parent is not None:
            self.at = node.parent

    def handle_data(self, data: str) -> None:
        self.at.children.append(data)


def read(html: str) -> Node:
    """The page's main part."""
    reader = _Reader()
    reader.feed(html)
    return next((node for node in reader.root.walk() if node.tag == "main"), reader.root)


def said(page: Node, label: str) -> str:
    """Everything that the page says under a label, as one text."""
    return " \n ".join(_plain(node.told) for node in _under(page, label))


def _plain(text: str) -> str:
    return " ".join(text.replace("\u202f", "").split())


def _named(node: Node, label: str) -> bool:
    text = _plain(node.own)
    return text == label or text.startswith(tuple(f"{label}{sign}" for sign in (" (", ".", "[")))


def _under(page: Node, label: str) -> "list[Node]":
    found: list[Node] = []
    for node in page.walk():
        if node.tag == "dt" and _named(node, label):
            found += _following(node, ("dt",))
        elif node.tag == label == "h1":
            found.append(node)
        elif node.tag in HEADINGS and _named(node, label):
            found += _following(node, HEADINGS[: HEADINGS.index(node.tag) + 1])
        elif node.tag == "th" and _named(node, label) and node.parent is not None:
            found += _of_header(node, node.parent)
        elif node.tag == "summary" and node.parent is not None:
            bold = [child for child in node.elements() if child.tag == "b"]
            if any(_plain(each.own).startswith(label) for each in bold) or _named(node, label):
                found.append(node.parent)
        elif (node.tag == "a" and _named(node, label)) or _is_labelled(node, label):
            found.append(node)
    return found


def _is_labelled(node: Node, label: str) -> bool:
    """Whether an element begins with its own label; a status tag is an icon and a word."""
    if node.attrs.get("data-label") == label:
        return True
    if node.tag in ("span", "p", "li") and _plain(node.own).startswith(f"{label} "):
        return True
    return label == "Status" and node.attrs.get("class", "").startswith("tag ")


def _following(node: Node, until: tuple[str, ...]) -> "list[Node]":
    found: list[Node] = []
    siblings = node.parent.elements() if node.parent else []
    for sibling in siblings[siblings.index(node) + 1 :]:
        if sibling.tag in until:
            break
        found.append(sibling)
    return found


def _of_header(node: Node, row: Node) -> "list[Node]":
    """The cells of a row's own header, or those below a column's."""
    if node.attrs.get("scope") == "row":
        return _following(node, ())
    table = row
    while table.parent is not None and table.tag != "table":
        table = table.parent
    place = row.elements().index(node)
    bodies = [part for part in table.elements() if part.tag == "tbody"]
    rows = [tr for body in bodies for tr in body.elements() if tr.tag == "tr"]
    return [cell for tr in rows for cell in _at(tr.elements(), place)]


def _at(cells: "list[Node]", place: int) -> "list[Node]":
    """The cell of a row that is below a column's header; one may span several."""
    for cell in cells:
        place -= int(cell.attrs.get("colspan", "1"))
        if place < 0:
            return [cell]
    return []
