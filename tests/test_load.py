"""Many people at once, on the loopback: 32 clients for a minute, a slow one, and one that goes away."""

import contextlib
import os
import shutil
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from app_server import ROOT, serve, write_photo
from gradio_client import Client, handle_file
from gradio_client.client import Job

pytest_plugins = ["app_server"]
CLIENTS, SECONDS = 32, 60
DIRECTION = "summer → winter"


def memory(process: int) -> int:
    """Resident bytes of a process."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def patient_client(url: str) -> Client:
    """One that does not mind how busy this machine is."""
    return Client(url, verbose=False, download_files=False, httpx_kwargs={"timeout": 60})


@contextlib.contextmanager
def slow_upload(url: str) -> Iterator[list[int]]:
    """A visitor whose photo arrives at a byte a second. The list grows with every byte the server has taken."""
    address = urlsplit(url)
    sent: list[int] = []
    done = threading.Event()
    with socket.create_connection((str(address.hostname), int(address.port or 80))) as connection:
        head = "POST /gradio_api/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n"
        connection.sendall(f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n".encode())

        def trickle() -> None:
            while not done.wait(1):
                connection.sendall(b"-")
                sent.append(1)

        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            yield sent
        finally:
            done.set()
            thread.join()


@pytest.mark.slow
def test_32_clients_for_a_minute(checkpoints, tmp_path):
    photo = handle_file(write_photo(tmp_path / "photo.png", (160, 120)))
    outcomes: Counter[str] = Counter()
    waits: list[float] = []
    lock = threading.Lock()
    with serve(checkpoints, tmp_path, OMP_NUM_THREADS="1") as (url, server), slow_upload(url) as sent:
        begun = time.monotonic()

        def visit(number: int) -> None:
            client, calls = None, 0
            while time.monotonic() < begun + SECONDS:
                asked = time.monotonic()
                try:
                    client = client or patient_client(url)
                    if (calls + number) % 4:
                        client.predict(image=photo, direction=DIRECTION, seed=calls, api_name="/translate")
                    else:
                        client.predict(image=photo, direction=DIRECTION, seed=calls, count=2, api_name="/sample")
                    outcome = "answered"
                except Exception as error:
                    outcome = str(error)
                with lock:
                    outcomes[outcome] += 1
                    waits.append(time.monotonic() - asked)
                calls += 1

        threads = [threading.Thread(target=visit, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        time.sleep(SECONDS / 3)
        early = memory(server.pid)
        for thread in threads:
            thread.join()
        grown = memory(server.pid) - early
        assert len(sent) > SECONDS / 2  # and the slow one was there all the time
    print(f"{outcomes}, median wait {sorted(waits)[len(waits) // 2]:.1f} s, memory +{grown / 2**20:.0f} MB")
    answered = outcomes.pop("answered")
    assert answered > 2 * CLIENTS
    assert set(outcomes) <= {"Queue is full! Please try again."}
    assert grown < 100 * 2**20


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """A shipped model without examples, which would be translated in the meantime."""
    examples = shutil.ignore_patterns("examples")
    shutil.copytree(ROOT / "checkpoints" / "summer2winter", tmp_path / "models" / "seasons", ignore=examples)
    return tmp_path / "models"


def begun(client: Client, folder: Path) -> Job:
    """A translation that has only begun: of twelve million pixels the shipped model takes half a minute and more."""
    photo = handle_file(write_photo(folder / "large.jpg", (6000, 4500)))
    job = client.submit(image=photo, direction=DIRECTION, api_name="/translate")
    give_up = time.monotonic() + 60
    while not job.outputs() and time.monotonic() < give_up:  # the first tile
        time.sleep(0.1)
    assert job.outputs() == [None]
    assert not job.done()
    return job


@pytest.mark.slow
def test_an_app_that_is_told_to_end_ends_well_in_the_middle_of_a_translation(shipped, tmp_path):
    with serve(shipped, tmp_path) as (url, server):
        begun(patient_client(url), tmp_path)
        server.terminate()
        assert server.wait(20) == 0
    assert "terminate called" not in (tmp_path / "log").read_text()
    assert not [path for path in (tmp_path / "files").rglob("*") if path.is_file()]


@pytest.mark.slow
def test_a_request_that_nobody_waits_for_stops(shipped, tmp_path):
    """Its client leaves early."""
    small = handle_file(write_photo(tmp_path / "small.jpg", (64, 48)))
    with serve(shipped, tmp_path) as (url, server):
        leaving = patient_client(url)
        job = begun(leaving, tmp_path)
        job.cancel()
        leaving.close()
        staying = patient_client(url)
        staying.predict(image=small, direction=DIRECTION, api_name="/translate")
        before = cpu_seconds(server.pid)
        time.sleep(3)
        assert cpu_seconds(server.pid) - before < 1.5  # of about five
