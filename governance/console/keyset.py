"""Lists in pages by key: the newest first, then "Older". No page costs more than the first.

For tables in the order of their keys: let ``change_list`` be ``KeysetChangeList``.
"""

from typing import Any
from urllib.parse import urlencode

from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest

from governance.console.base import BoundedChangeList, actor_of

OLDER, NEWER = "older_than", "newer_than"


class KeysetChangeList(BoundedChangeList):
    """A page of a list, and the addresses of the pages beside it."""

    newer_link = older_link = ""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        # The place in the list is no filter, and goes when a filter changes.
        for name in (OLDER, NEWER):
            self.params.pop(name, None)
            self.filter_params.pop(name, None)
        return super().get_queryset(request, exclude_parameters)

    def get_results(self, request: HttpRequest) -> None:
        size = self.list_per_page
        older, newer = self._key(request, OLDER), self._key(request, NEWER)
        rows, is_back = self.queryset.order_by("-pk"), newer is not None
        if is_back:
            rows = rows.filter(pk__gt=newer).order_by("pk")
        elif older is not None:
            rows = rows.filter(pk__lt=older)
        page = list(actor_of(request).first(rows, size + 1))
        has_more, page = len(page) > size, page[:size]
        if is_back:
            page.reverse()
        if page and (has_more if is_back else older is not None):
            self.newer_link = self._link(NEWER, page[0].pk)
        if page and (is_back or has_more):
            self.older_link = self._link(OLDER, page[-1].pk)
        self.paginator = self.model_admin.get_paginator(request, self.queryset, size)
        self.result_count = self.paginator.count
        self.full_result_count = None
        self.show_full_result_count = self.can_show_all = self.multi_page = False
        self.show_admin_actions = bool(page)
        self.result_list = page

    def _key(self, request: HttpRequest, name: str) -> Any:
        try:
            return self.lookup_opts.pk.to_python(request.GET.get(name) or None)
        except (ValidationError, ValueError):
            raise IncorrectLookupParameters from None

    def _link(self, name: str, key: Any) -> str:
        query = self.get_query_string()
        return f"{query}{'&' if len(query) > 1 else ''}{urlencode({name: key})}"
