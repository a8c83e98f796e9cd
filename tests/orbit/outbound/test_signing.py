import base64
import hashlib
import subprocess

import pytest

from orbit.outbound import signing

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()


def test_the_signature_is_the_one_that_the_standard_webhooks_libraries_publish() -> None:
    # The example of the specification's own library tests.
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    signature = signing.sign(
        secret,
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_signature_is_the_hmac_written_out_by_hand_over_bytes_that_are_no_text() -> None:
    block = KEY.ljust(64, b"\0")
    inner = hashlib.sha256(
        bytes(byte ^ 0x36 for byte in block) + b"id.17." + b"\xff\x00\n"
    ).digest()
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block) + inner).digest()
    assert (
        signing.sign(SECRET, message_id="id", timestamp=17, body=b"\xff\x00\n")
        == "v1," + base64.b64encode(outer).decode()
    )


def test_the_signature_equals_openssl_s() -> None:
    process = subprocess.run(
        ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{KEY.hex()}", "-binary"],
        input=b"id.17.body",
        capture_output=True,
        check=True,
    )
    assert (
        signing.sign(SECRET, message_id="id", timestamp=17, body=b"body")
        == "v1," + base64.b64encode(process.stdout).decode()
    )


def test_both_secrets_sign_during_a_rotation() -> None:
    other = "whsec_" + base64.b64encode(bytes(range(100, 130))).decode()
    signatures = signing.sign(f"{SECRET} {other}", message_id="id", timestamp=1, body=b"")
    assert signatures.split(" ") == [
        signing.sign(secret, message_id="id", timestamp=1, body=b"") for secret in (SECRET, other)
    ]


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "hush",
        "whsec_" + base64.b64encode(b"short").decode(),
        base64.b64encode(KEY).decode(),
        "whsec_" + base64.b64encode(bytes(range(65))).decode(),
        "whsec_" + base64.b64encode(b"a" * 32).decode(),
        SECRET + " ",
        SECRET + "\n",
        SECRET[:-1] + "!",
    ],
)
def test_a_weak_or_malformed_secret_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(ValueError) as exc_info:
        signing.parse_secrets(secret)
    assert "hush" not in str(exc_info.value)
