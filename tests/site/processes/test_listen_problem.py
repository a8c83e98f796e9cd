"""What can be done about a port depends on why it can't be had."""

import errno
import os
import socket

import pytest

from orbit_site.processes import listen_problem

OTHER = "set PORT to another number"


def advice(number: int, port: int) -> str:
    error = OSError(number, os.strerror(number))
    return listen_problem.advice(error, "10.9.8.7", port, other_port=OTHER)


def test_a_port_in_use_and_one_of_root_are_told_apart() -> None:
    assert advice(errno.EADDRINUSE, 80) == f"Stop the program that uses it, or {OTHER}."
    assert advice(errno.EACCES, 80) == f"Only root may use a port below 1024: {OTHER}."


def test_an_address_of_another_machine_is_blamed_on_its_variable() -> None:
    with pytest.raises(OSError) as refusal:
        socket.create_server(("192.0.2.1", 0))
    said = listen_problem.advice(refusal.value, "192.0.2.1", 3000, other_port=OTHER)
    assert said.startswith("192.0.2.1 in ORBIT_BIND is no address of this machine.")
    assert OTHER not in said
