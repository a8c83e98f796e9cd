"""`.env` is read strictly: a message names file and line, and never what is on the line."""

import os
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from orbit_site.settings import dotenv


def read(folder: Path, content: str | bytes) -> dict[str, str]:
    path = folder / ".env"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return dotenv.read(path)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"),
        ("export A=b", "b"),
        ("export  A=b", "b"),
        ("A=", ""),
        ("A=  ", "  "),
        ("A=b\r", "b"),
        ("A=b#c", "b#c"),
        ("A='b # c'", "b # c"),
        ('A="b # c" ', "b # c"),
        ("A=a = b", "a = b"),
        ("A=it's", "it's"),
        ('A=[{"key": "a", "url": "https://h/#x"}]', '[{"key": "a", "url": "https://h/#x"}]'),
        ('A=\'[{"key": "a"}]\'', '[{"key": "a"}]'),
        (r'A="say \"hi\" \\ \n"', r'say "hi" \ \n'),
        ("A=grüße", "grüße"),
        ("A='\t x '", "\t x "),
    ],
)
def test_a_line_that_is_an_assignment_is_taken(tmp_path: Path, line: str, value: str) -> None:
    assert read(tmp_path, f"# a comment\r\n\n  # one more\n{line}\nB=1") == {"A": value, "B": "1"}


@pytest.mark.parametrize(
    "line",
    [
        "ORBIT_GLOBAL_PAUSE = hush",
        "ORBIT_GLOBAL_PAUSE =hush",
        "ORBIT_GLOBAL_PAUSE= hush",
        "ORBIT_GLOBAL_PAUSE=\u00a0hush",
        " ORBIT_GLOBAL_PAUSE=hush",
        "\tORBIT_GLOBAL_PAUSE=hush",
        "ORBIT_GLOBAL_PAUSE: hush",
        "ORBIT_GLOBAL_PAUSE hush",
        "hush",
        "=hush",
        "1A=hush",
        "ORBIT-GLOBAL-PAUSE=hush",
        "set ORBIT_GLOBAL_PAUSE=hush",
        "A='hush",
        'A="hush',
        "A=hush'",
        'A=hush"',
        "A='hush\"",
        "A='",
        'A="hush\\"',
        "A='hush' # a comment",
        "A='hush' # a 'comment'",
        'A="hush" # a "comment"',
        "A=1 ORBIT_GLOBAL_PAUSE=hush",
        "export A=1 DATABASE_URL=hush",
        "Environment=ORBIT_GLOBAL_PAUSE=hush",
        "A=hush # a comment",
        "A=hu\0sh",
        "A=hush\x1b[1m",
        "A=hush\rB=hush",
        "\ufeffA=hush",
    ],
)
def test_a_line_that_could_be_misread_is_named_and_not_shown(tmp_path: Path, line: str) -> None:
    with pytest.raises(ImproperlyConfigured) as refusal:
        read(tmp_path, f"# first\nFINE=1\n{line}\nALSO=2\n")
    assert str(refusal.value).startswith(f"{tmp_path}/.env, line 3: ")
    assert "hush" not in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        (b"\xef\xbb\xbfORBIT_GLOBAL_PAUSE=true\n", ", line 1: the file begins with a byte order"),
        ("A=true\n".encode("utf-16"), ", line 1: the file is UTF-16"),
        ("A=true\n".encode("utf-16-le"), ", line 1: it holds a control character"),
        ("A=1\nB=gr\xfc\xdfe\n".encode("latin-1"), ", line 2: a byte is not UTF-8"),
        (b"A=1\n\nB=2\nA=3\n", ", line 4: A is also in line 1. Remove one of the two."),
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path: Path, content: bytes, answer: str) -> None:
    with pytest.raises(ImproperlyConfigured) as refusal:
        read(tmp_path, content)
    assert str(refusal.value).startswith(f"{tmp_path}/.env{answer}")


def test_a_folder_a_pipe_and_a_broken_link_are_named(tmp_path: Path) -> None:
    folder, pipe, link = tmp_path / "folder", tmp_path / "pipe", tmp_path / "link"
    folder.mkdir()
    os.mkfifo(pipe)
    link.symlink_to(tmp_path / "nothing")
    for path, answer in (
        (folder, "is a folder"),
        (pipe, "no plain file"),
        (Path("/dev/zero"), "no plain file"),
        (link, "is a link to"),
    ):
        with pytest.raises(ImproperlyConfigured, match=f"{path} .*{answer}"):
            dotenv.read(path)


def test_a_file_that_is_too_large_for_settings_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / ".env").open("wb") as file:
        file.truncate(100_000_000)
    with pytest.raises(ImproperlyConfigured, match="100,000,000 bytes, more than settings need"):
        dotenv.read(tmp_path / ".env")


def test_a_missing_file_and_an_empty_one_are_none(tmp_path: Path) -> None:
    assert dotenv.read(tmp_path / ".env") == {}
    assert read(tmp_path, "") == {}
    assert dotenv.read(Path("/dev/null")) == {}


def test_a_file_that_cant_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("A=hush")

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    if os.geteuid() == 0:  # root may read everything
        monkeypatch.setattr(Path, "read_bytes", refuse)
    else:
        (tmp_path / ".env").chmod(0)
    with pytest.raises(ImproperlyConfigured, match=f"Can't read {tmp_path}/.env: Permission"):
        dotenv.read(tmp_path / ".env")
