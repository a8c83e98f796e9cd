import pytest
from cryptography.fernet import Fernet

from orbit.outbound import secrets

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def test_sealed_data_is_unreadable_and_can_be_unsealed() -> None:
    sealed = secrets.seal(b"https://host/?token=hush", [OLD])
    assert b"hush" not in sealed
    assert secrets.unseal(sealed, [OLD]) == b"https://host/?token=hush"


def test_a_database_driver_may_bring_it_back_as_a_memoryview() -> None:
    assert secrets.unseal(memoryview(secrets.seal(b"x", [OLD])), [OLD]) == b"x"  # type: ignore[arg-type]


def test_during_a_rotation_the_old_key_still_opens_and_the_new_one_seals() -> None:
    assert secrets.unseal(secrets.seal(b"x", [OLD]), [NEW, OLD]) == b"x"
    assert secrets.unseal(secrets.seal(b"x", [NEW, OLD]), [NEW]) == b"x"


@pytest.mark.parametrize(
    "spoil", [lambda sealed: sealed[:-5] + b"AAAAA", lambda sealed: b"", lambda sealed: b"\xff\x00"]
)
def test_changed_data_and_data_without_its_key_are_unreadable(spoil: object) -> None:
    sealed = secrets.seal(b"x", [OLD])
    with pytest.raises(secrets.Unreadable):
        secrets.unseal(sealed, [NEW])
    with pytest.raises(secrets.Unreadable):
        secrets.unseal(spoil(sealed), [OLD])  # type: ignore[operator]


def test_the_derived_key_is_a_fernet_key_and_follows_the_secret_key() -> None:
    key = secrets.derive_key("a secret key")
    assert secrets.unseal(secrets.seal(b"x", [key]), [secrets.derive_key("a secret key")]) == b"x"
    assert secrets.derive_key("another") != key
    assert key != "a secret key"


def test_the_fingerprint_is_equal_for_equal_data_under_one_first_key_only() -> None:
    assert secrets.fingerprint(b"x", [OLD]) == secrets.fingerprint(b"x", [OLD, NEW])
    assert (
        len(
            {
                secrets.fingerprint(b"x", [OLD]),
                secrets.fingerprint(b"y", [OLD]),
                secrets.fingerprint(b"x", [NEW, OLD]),
            }
        )
        == 3
    )
    assert len(secrets.fingerprint(b"x", [OLD])) == 64
