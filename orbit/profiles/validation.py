"""What is wrong with a document that a user wants to save."""

from typing import Any

from governance.access.actors import Actor
from governance.models import Namespace
from orbit.dispatch import endpoints
from orbit.errors import DocumentInvalid
from orbit.pipeline import registry
from orbit.profiles import schema, visible
from orbit.profiles.kinds import PROFILE, AnyKind
from orbit.profiles.schema import Problems


def all_problems(kind: AnyKind, name: str, document: Any, *, actor: Actor) -> Problems:
    """Return the problems for which ``edit.save`` would refuse ``document``."""
    problems = document_problems(kind, name, document)
    return [*problems, *reference_problems(kind, document, problems, actor)]


def document_problems(kind: AnyKind, name: str, document: Any) -> Problems:
    """Return the problems that need no database."""
    if kind is PROFILE:
        problems = schema.profile_problems(
            document, transformers=registry.option_checks(), processors=registry.processor_names()
        )
    else:
        problems = schema.run_profile_problems(
            document, profiles=None, endpoints=endpoints.configured().keys()
        )
    stored = document.get(kind.key) if isinstance(document, dict) else None
    if isinstance(stored, str) and stored != name:
        detail = f"Must be {name[:200]}, as in the address: an id can't be changed."
        problems.append({"pointer": f"/{kind.key}", "detail": detail})
    return problems


def reference_problems(kind: AnyKind, document: Any, earlier: Problems, actor: Actor) -> Problems:
    """Return the problems of a run profile's profile and namespace."""
    if kind is PROFILE or not isinstance(document, dict):
        return []
    # One problem a member is enough.
    wrong = {problem["pointer"] for problem in earlier}
    profile, namespace = (
        None if f"/{key}" in wrong else document.get(key) for key in ("profile_id", "namespace")
    )
    problems: Problems = []
    if profile is not None and not visible.profiles(actor).filter(profile_id=profile).exists():
        problems.append({"pointer": "/profile_id", "detail": f"There is no profile `{profile}`."})
    if namespace is not None and not (
        actor.sees(namespace) and Namespace.objects.filter(name=namespace).exists()
    ):
        detail = (
            f"There is no namespace `{namespace}`. "
            "An administrator creates it (POST /governance/namespaces)."
        )
        problems.append({"pointer": "/namespace", "detail": detail})
    return problems


def ensure_none(kind: AnyKind, problems: Problems) -> None:
    """Raise DocumentInvalid if there are any."""
    if problems:
        things = f"{len(problems)} thing{'s' if len(problems) > 1 else ''}"
        raise DocumentInvalid(f"{things} in this {kind.words} can't be accepted.", errors=problems)
