"""Of a program's output an operator gets the complaints, on one line."""

from orbit_site.processes import pg_programs


def test_only_the_complaints_are_shown_and_a_full_disk_is_named() -> None:
    output = (
        "creating subdirectories ... ok\n"
        'initdb: error: could not write file "PG_VERSION": No space left on device\n'
        "initdb: removing contents of data directory\n"
    )
    assert pg_programs.problem(output) == (
        'error: could not write file "PG_VERSION": No space left on device '
        "The disk is full: make room, and run it again."
    )
    log = '12:00 UTC [7]  LOG:  invalid "x"\n12:00 UTC [7]  FATAL:  errors\n\tHINT:  Ask.\n'
    assert pg_programs.problem(log) == 'LOG: invalid "x" FATAL: errors HINT: Ask.'


def test_without_an_error_the_last_words_are_shown() -> None:
    assert pg_programs.problem("one\n" * 9 + "Segmentation fault\n").endswith("Segmentation fault")
    assert pg_programs.problem("") == ""
