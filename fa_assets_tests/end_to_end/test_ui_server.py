"""`fa-assets ui`: which port it listens on, and what it refuses."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fa_assets.settings import Settings
from fa_assets_tests.end_to_end.commands import start
from fa_assets_tests.end_to_end.ui_server import Site
from fa_assets_tests.ports import free_port


@pytest.mark.promise("The UI listens on 127.0.0.1 alone.", "input")
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the kernel's table of sockets is not there")
def test_it_listens_on_this_machine_alone(site: Site) -> None:
    port = f"{urlsplit(site.server.url).port:04X}"
    listening = {
        fields[1]
        for table in ("tcp", "tcp6")
        for fields in map(str.split, Path(f"/proc/net/{table}").read_text().splitlines()[1:])
        if fields[1].endswith(f":{port}") and fields[3] == "0A"
    }
    assert listening == {f"0100007F:{port}"}  # 127.0.0.1, low byte first


def test_a_port_in_use_is_refused_before_anything_is_started(site: Site, tmp_path: Path) -> None:
    port = urlsplit(site.server.url).port
    said = tmp_path / "said"
    process = start(Settings(storage=tmp_path / "storage"), "ui", "--port", str(port), output=said)
    process.join(60)
    assert process.exitcode == 1
    assert f"port {port} of 127.0.0.1 (Address already in use)" in said.read_text()
    assert "--port" in said.read_text()
    assert not (tmp_path / "storage").exists()


def test_a_second_ui_over_one_instance_is_refused(site: Site, tmp_path: Path) -> None:
    said = tmp_path / "said"
    process = start(site.settings, "ui", "--port", str(free_port()), output=said)
    process.join(60)
    assert process.exitcode == 1
    assert (
        f"The UI over {site.settings.local_root}/dagster_home is open already: close that one first."
        in said.read_text()
    )
