from pathlib import Path

from orbit_site.processes import first_run


def test_token_password_and_port_are_created_once_and_readable_by_this_user_only(
    tmp_path: Path,
) -> None:
    port = first_run.receiver_port(tmp_path)
    first, second = (first_run.endpoint_variables(tmp_path, port, ["10.0.0.1"]) for _ in range(2))
    assert first == second
    assert first["ORBIT_DISPATCH_ALLOWED_HOSTS"] == "10.0.0.1,127.0.0.1"
    assert first_run.admin_password(tmp_path) == first_run.admin_password(tmp_path)
    assert first_run.receiver_port(tmp_path) == port
    for name in ("aurora-token", "admin-password"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
