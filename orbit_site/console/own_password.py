"""The page where a user changes their own password.

It asks for the current one, as a log-in does: an open session alone must not take an account over,
and must not be a way to guess the password past the lock-out.
"""

from typing import Any

from django import forms
from django.contrib.admin.forms import AdminPasswordChangeForm
from django.contrib.auth import authenticate
from django.contrib.auth.views import PasswordChangeView
from django.http import HttpRequest, HttpResponse
from django.views.decorators.debug import sensitive_variables

from governance import audit
from governance.access import actors, lockout, origin
from governance.access.lockout import LockedOut, LoginsBusy
from governance.audit.actions import Action
from orbit_site import error_pages


class OwnPasswordForm(AdminPasswordChangeForm):
    """Counts the current password as a log-in; saves the new one with its audit entry."""

    def __init__(self, user: Any, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(user, *args, **kwargs)
        self._request = request

    @sensitive_variables("password")
    def clean_old_password(self) -> str:
        password: str = self.cleaned_data["old_password"]
        name = self.user.get_username()
        if authenticate(self._request, username=name, password=password) != self.user:
            raise forms.ValidationError(
                self.error_messages["password_incorrect"], code="password_incorrect"
            )
        return password

    def save(self, commit: bool = True) -> Any:
        # Hashing takes long, so it comes before the transaction, and in a turn.
        with lockout.TURNS.of(origin.address(self._request)):
            user = super().save(commit=False)
        if commit:
            with audit.transaction():
                user.save()
                audit.record(
                    Action.USER_CHANGED,
                    actor=actors.of_user(user).name,
                    object_id=str(user.pk),
                    after={"changed": "own password"},
                )
        return user


class OwnPasswordView(PasswordChangeView):
    """Django's view. Other sessions of the user end, since theirs holds the old hash."""

    form_class = OwnPasswordForm

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "request": self.request}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().post(request, *args, **kwargs)
        except LockedOut as locked:
            return error_pages.locked_out(request, locked)
        except LoginsBusy as busy:
            return error_pages.logins_busy(request, busy)
