import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from governance.kernel.errors import Kind
from orbit.pipeline import registry
from orbit.pipeline.contract import Context, Payload

OFFER = """
from orbit.pipeline.contract import Payload, Processor, Transformer
SHOUT = Transformer(
    "shout",
    {"type": "object"},
    lambda payload, context: Payload(payload.body.upper(), payload.content_type),
)
TRIM = Processor("trim", lambda payload: Payload(payload.body.strip(), payload.content_type))
NOTHING = 5
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Install a package, as far as Python can tell; return its ``entry_points.txt``."""
    (tmp_path / "orbit_shout_offer.py").write_text(OFFER)
    metadata = tmp_path / "orbit_shout_offer-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: orbit-shout-offer\nVersion: 1\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    registry.refresh()
    yield metadata / "entry_points.txt"
    registry.refresh()
    sys.modules.pop("orbit_shout_offer", None)


def test_the_built_in_transformers_are_registered_and_only_http_is_slow() -> None:
    assert {"http", "passthrough", "template"} <= set(registry.names())
    assert registry.processor_names() == ["passthrough"]
    assert [
        name for name in ("http", "passthrough", "template") if registry.transformer(name).slow
    ] == ["http"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "unknown",
        "os.system",
        "orbit.pipeline.transformers.HTTP",
        "orbit.pipeline.transformers:HTTP",
    ],
)
def test_a_name_that_is_not_registered_is_refused_and_nothing_is_imported(name: str) -> None:
    with pytest.raises(registry.UnknownTransformer) as refusal:
        registry.transformer(name)
    assert (refusal.value.code, refusal.value.kind) == ("unknown_transformer", Kind.INVALID)
    assert "passthrough" in refusal.value.detail
    with pytest.raises(registry.UnknownProcessor):
        registry.processor(name)


def test_an_installed_package_may_offer_more(package: Path) -> None:
    package.write_text(
        "[orbit.transformers]\nshout = orbit_shout_offer:SHOUT\n"
        "[orbit.processors]\ntrim = orbit_shout_offer:TRIM\n"
    )
    context = Context("t", {}, 1, "c", "eu", 1)
    assert registry.transformer("shout").run(Payload(b"hi", "text/plain"), context).body == b"HI"
    assert registry.processor("trim").run(Payload(b" a ", "text/plain")).body == b"a"
    assert registry.option_checks()["shout"]({}) == []
    assert "shout" in registry.names()


@pytest.mark.parametrize(
    "offer",
    [
        "shout = orbit_shout_offer:NOTHING",
        "shout = orbit_shout_offer:MISSING",
        "shout = no_such_module:X",
        "passthrough = orbit_shout_offer:SHOUT",
        "shout = orbit_shout_offer:TRIM",
    ],
)
def test_an_unusable_plugin_is_refused_by_its_name(package: Path, offer: str) -> None:
    package.write_text(f"[orbit.transformers]\n{offer}\n")
    with pytest.raises(registry.BrokenEntryPoint, match=r"orbit\.transformers"):
        registry.names()


def test_the_contract_can_be_imported_without_django_s_settings() -> None:
    process = subprocess.run(
        [sys.executable, "-c", "import orbit.pipeline.contract"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert process.returncode == 0, process.stderr
