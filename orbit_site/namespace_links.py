"""The namespace that a page is for stays in its links, forms and redirects.

Templates and read functions write links without it: here it is added once, to all of them.
"""

import re
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.utils.html import escape

from governance.console.base import namespace_of

#: A link within the console: an absolute address, or one relative to the page's.
_LINK = re.compile(r'(?<=[ \n])((?:href|action|formaction|hx-get)=")(/admin/[^"#]*|[?.][^"#]*)')
#: A form whose fields become the query of the next address.
_FORM = re.compile(r'(<form [^>]*method="get"[^>]*>)(.*?)(?=</form>)', re.DOTALL)
#: An empty one, "?namespace=", leads to all namespaces.
_NAMED = re.compile(r"\bnamespace(?:=|%3D)")


def keep(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
    """Add the namespace of the page to the links of ``answer`` that name none."""
    namespace = namespace_of(request)
    if not namespace:
        return answer
    if answer.get("Location", "").startswith("/admin/"):
        answer["Location"] = _with(answer["Location"], _query(namespace), "&")
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


def _with(link: str, query: str, separator: str) -> str:
    if _NAMED.search(link):
        return link
    address, hash_, fragment = link.partition("#")
    if address == "?":
        return f"?{query}{hash_}{fragment}"
    return f"{address}{separator if '?' in address else '?'}{query}{hash_}{fragment}"
