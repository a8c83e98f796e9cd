"""The namespace that a page is for stays in its links, forms and redirects.

Templates and read functions write links without it: here it is added once, to all of them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.utils.html import escape

from governance.console.base import namespace_of

#: A link within the console: an absolute address, or one relative to the page's. A "#" ends it,
#: except in an entity such as "&#x27;".
_LINK = re.compile(
    r'(?<=[ \n])((?:href|action|formaction|hx-get)=")((?:/admin/|[?.])[^"#]*(?:(?<=&)#[^"#]*)*)'
)
#: A form whose fields become the query of the next address.
_FORM = re.compile(r'(<form [^<>]*method="get"[^<>]*>)(.*?)(?=</form>)', re.DOTALL)
#: They belong to the page's present selection.
_NOT_KEPT = {"namespace", "p", "e", "cursor", "older_than", "newer_than", "after"}
_NEAREST = 12
#: A parameter of the link, or of an address or of a list's filters within it. An empty one,
#: "?namespace=", leads to all namespaces.
_NAMED = re.compile(r"(?:[?&;]|%3F|%26|_changelist_filters=)namespace(?:=|%3D)")


@dataclass(frozen=True, slots=True)
class Switch:
    """The links to a page for other namespaces, of which the user has ``names``."""

    request: HttpRequest
    names: Sequence[str]

    @property
    def kept(self) -> list[tuple[str, str]]:
        """The other parameters of the address."""
        return [
            (name, value)
            for name, values in self.request.GET.lists()
            if name not in _NOT_KEPT
            for value in values
        ]

    @property
    def everywhere(self) -> str:
        """The link to this page for all namespaces."""
        return self._link("")

    @property
    def nearest(self) -> list[tuple[str, str]]:
        """The first namespaces and their links to this page."""
        return [(name, self._link(name)) for name in self.names[:_NEAREST]]

    def _link(self, namespace: str) -> str:
        return f"?{urlencode([*self.kept, ('namespace', namespace)])}"


def keep(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
    """Add the namespace of the page to the links of ``answer`` that name none."""
    namespace = namespace_of(request)
    if not namespace:
        return answer
    address, hash_, fragment = answer.get("Location", "").partition("#")
    if address.startswith("/admin/"):
        answer["Location"] = _with(address, _query(namespace), "&") + hash_ + fragment
    if answer.get("Content-Type", "").startswith("text/html") and not answer.streaming:
        answer.content = in_page(answer.content.decode(), namespace).encode()
    return answer


def in_page(page: str, namespace: str) -> str:
    """Add ``namespace`` to the links and forms of a page of HTML."""
    query = _query(namespace)
    page = _LINK.sub(lambda link: link[1] + _with(link[2], query, "&amp;"), page)
    field = f'<input type="hidden" name="namespace" value="{escape(namespace)}">'
    return _FORM.sub(
        lambda form: form[0] if 'name="namespace"' in form[2] else form[1] + field + form[2], page
    )


def _query(namespace: str) -> str:
    return urlencode({"namespace": namespace})


def _with(address: str, query: str, separator: str) -> str:
    if _NAMED.search(address):
        return address
    if address.endswith("?"):
        return address + query
    return f"{address}{separator if '?' in address else '?'}{query}"
