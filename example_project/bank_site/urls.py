"""The example has one page: the accounts and what is on them."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.urls import path

from bank.models import Account


def accounts(_request: HttpRequest) -> JsonResponse:
    """Return every account's balance by its owner."""
    return JsonResponse({account.owner: account.balance for account in Account.objects.order_by("pk")})


urlpatterns = [path("", accounts)]
