"""Lists in pages by key: the newest first, then "Older". No page costs more than the first.

For tables in the order of their keys: let ``change_list`` be ``KeysetChangeList``.
"""

from typing import Any
from urllib.parse import urlencode

from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest

from governance.console.base import BoundedChangeList

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
        rows = self.queryset.order_by("-pk")
        if newer is not None:
            page = list(rows.filter(pk__gt=newer).order_by("pk")[: size + 1])
            has_newer, has_older = len(page) > size, True
            page = page[:size][::-1]
        else:
            page = list((rows if older is None else rows.filter(pk__lt=older))[: size + 1])
            has_newer, has_older = older is not None, len(page) > size
            page = page[:size]
        if page and has_newer:
            self.newer_link = self._link(NEWER, page[0].pk)
        if page and has_older:
            self.older_link = self._link(OLDER, page[-1].pk)
        self.paginator = self.model_admin.get_paginator(request, self.queryset, size)
        self.result_count = self.paginator.count
        self.full_result_count = None
        self.show_full_result_count = self.can_show_all = self.multi_page = False
        self.show_admin_actions = bool(page)
        self.result_list = page

    def _key(self, request: HttpRequest, name: str) -> Any:
        text = request.GET.get(name)
        if not text:
            return None
        try:
            return self.lookup_opts.pk.to_python(text)
        except (ValidationError, ValueError):
            raise IncorrectLookupParameters from None

    def _link(self, name: str, key: Any) -> str:
        query = self.get_query_string()
        return f"{query}{'&' if len(query) > 1 else ''}{urlencode({name: key})}"
