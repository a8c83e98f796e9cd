"""The form with which users change their own password."""

from typing import Any

from django.contrib.admin.forms import AdminPasswordChangeForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from governance import audit
from governance.access import actors, lockout
from governance.audit.actions import Action


class OwnPasswordForm(AdminPasswordChangeForm):
    """Saves the change with its audit entry; hashing takes long, so it comes before."""

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._request = request

    def clean_old_password(self) -> str:
        """Check the old password; wrong ones count as failed logins."""
        old: str = self.cleaned_data["old_password"]
        if not lockout.check_old_password(self.user, old, self._request):
            raise ValidationError(
                self.error_messages["password_incorrect"], code="password_incorrect"
            )
        return old

    def save(self, commit: bool = True) -> Any:
        """Save the password with its audit entry."""
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
