"""A Postgres server of a test's own, started by an unprivileged user, reached through a socket in a folder of its own."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

HOW_TO_INSTALL = "Postgres is not installed: apt-get install postgresql"


def postgres_programs() -> Path | None:
    """The folder of `initdb` and `pg_ctl`: on the path, or where Debian has them."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).parent
    return next((one.parent for one in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)), None)


def require_postgres() -> Path:
    """The folder of the server's programs; where it or the extra is missing, the test is skipped, or fails where it may not."""
    missing = []
    programs = postgres_programs()
    if programs is None:
        missing.append(HOW_TO_INSTALL)
    if importlib.util.find_spec("dagster_postgres") is None:
        missing.append("dagster-postgres is not installed: make install-cluster")
    if missing:
        (pytest.fail if os.environ.get("FA_REQUIRE_CLUSTER") else pytest.skip)("; ".join(missing))
    assert programs is not None
    return programs


@contextmanager
def postgres_server(programs: Path) -> Iterator[str]:
    """Start a server; gives its URL. Root hands it to the user `postgres`, since Postgres refuses root."""
    folder = Path(tempfile.mkdtemp(prefix="fa_assets-postgres-"))
    user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)

    def call(program: str, *arguments: str) -> None:
        done = subprocess.run(
            [programs / program, "-D", folder / "data", *arguments],
            cwd=folder,
            user=None if user is None else user.pw_uid,
            group=None if user is None else user.pw_gid,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert done.returncode == 0, done.stderr

    try:
        call("initdb", "--username=dagster", "--auth=trust", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
        call("pg_ctl", "-l", str(folder / "log"), "-w", "-o", options, "start")
        try:
            yield f"postgresql+psycopg2://dagster@/postgres?host={folder}"
        finally:
            call("pg_ctl", "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
