"""A real server process: every signal in every state, clients that misbehave, health under load, several services."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from hearthwatch.artifacts.samples import SENTENCE
from hearthwatch.services import HEAVY, LIGHT, SERVICES, Service, models_of
from made_up import write_networks, write_samples
from served import TEXT_TOWERS, picture, text_of
from server_process import ServerProcess, server_process, until

PICTURE = picture(640, 480, kind=".jpg")
RAW = {"content-type": "image/jpeg"}
ANYWHERE = "0.0.0.0"  # noqa: S104 - it is refused
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_networks(tmp_path_factory.mktemp("models"), [*models_of(SERVICES), *TEXT_TOWERS.values()])


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def served(models: Path, cache: Path) -> Iterator[ServerProcess]:
    with server_process(models, cache) as found:
        yield found


def pose(client: httpx.Client, **headers: str) -> httpx.Response:
    return client.post("/pose-analyze", content=PICTURE, headers=RAW | headers)


def loaded(client: httpx.Client) -> dict[str, bool]:
    answer: dict[str, bool] = client.get("/health").json()["models_loaded"]
    return answer


@pytest.mark.parametrize("service", [LIGHT, HEAVY], ids=lambda service: service.name)
def test_every_route_answers_and_health_follows(service: Service, models: Path, cache: Path) -> None:
    with server_process(models, cache, (service.name,)) as served, served.client(service.name) as client:
        assert not any(loaded(client).values())
        for route in (route for route in service.routes if route.model and not route.kind.many):
            answer = client.post(route.path, content=PICTURE, headers=RAW)
            assert answer.status_code == 200, answer.text
            assert loaded(client).get(route.model, True) is True
        told = client.post("/enrich", files={"file": PICTURE}, data={"detection_type": "dog"}).json()
        assert (told["status"], told["models_loaded"]) == ("full", ["pet_classifier", "depth_estimator"])
        rows = [row for row in client.get("/models").json()["models"] if row["loads"]]
        assert {row["name"] for row in rows} >= {
            route.model for route in service.routes if route.model and not route.kind.many
        }
        assert {row["state"] for row in rows} <= {"ready", "degraded"}
        assert all(row["measured_mb"] > 0 for row in rows)
        told = client.get("/metrics").text
        assert all(name in told for name in (service.metrics.requests, *service.metrics.documented))


def test_several_services_share_one_process_and_each_has_its_port(models: Path, cache: Path) -> None:
    offset = 12000
    with server_process(models, cache, ("light", "detector", "--port-offset", str(offset)), PORT="") as served:
        assert served.ports == {"yolo26": 8090 + offset, "light": 8096 + offset}
        with served.client("yolo26") as detector, served.client("light") as light:
            assert detector.post("/detect", content=PICTURE, headers=RAW).status_code == 200
            assert detector.post("/pose-analyze", content=PICTURE, headers=RAW).status_code == 404
            assert pose(light).status_code == 200
            assert light.get("/models/status").json()["budget_mb"] > 0
        assert served.stop() == 0


class TestSignals:
    def test_an_idle_process_ends_at_once(self, served: ServerProcess) -> None:
        assert served.stop() == 0

    def test_ctrl_c_ends_it_as_well(self, served: ServerProcess) -> None:
        assert served.stop(signal.SIGINT) == 0
        assert not any("Traceback" in line for line in served.lines)

    def test_while_a_model_loads_the_request_is_still_answered(self, models: Path, tmp_path: Path) -> None:
        with (
            server_process(models, tmp_path / "empty cache") as served,
            served.client() as client,
            served.client() as other,
            ThreadPoolExecutor(1) as pool,
        ):
            asked = pool.submit(pose, client)
            until(lambda: state_of(other, "pose_estimator") != "cold")
            assert served.stop() == 0
            assert asked.result().status_code == 200

    def test_what_has_been_taken_is_answered(self, served: ServerProcess) -> None:
        with served.client() as client:
            assert pose(client).status_code == 200
        clients = 8
        with ThreadPoolExecutor(clients) as pool:
            asked = [pool.submit(many_poses, served, 20) for _ in range(clients)]
            with served.client() as client:
                until(lambda: answered(client) > clients)
            assert served.stop() == 0
            for future in asked:
                statuses = future.result()
                # Each of them got answers, and after the last one the door was closed, not the answer cut.
                assert statuses
                assert set(statuses) <= {200, 503}

    def test_a_second_signal_does_not_wait(self, models: Path, cache: Path) -> None:
        with (
            server_process(models, cache, HEARTHWATCH_DRAIN_SECONDS="600") as served,
            socket.create_connection(("127.0.0.1", served.ports["light"])) as stalled,
            served.client() as client,
        ):
            stalled.sendall(_head(99) + b"ab")
            assert client.get("/livez").status_code == 200
            served.process.send_signal(signal.SIGTERM)
            until(lambda: any("stopping" in line for line in served.lines))
            assert served.stop() == 0


def state_of(client: httpx.Client, model: str) -> str:
    row = next(row for row in client.get("/models").json()["models"] if row["name"] == model)
    return str(row["state"])


def answered(client: httpx.Client) -> float:
    found = re.search(r'latency_seconds_count\{endpoint="pose-analyze"\} (\S+)', client.get("/metrics").text)
    return float(found[1]) if found else 0.0


def many_poses(served: ServerProcess, count: int) -> list[int]:
    statuses: list[int] = []
    with served.client() as client:
        for _ in range(count):
            try:
                statuses.append(pose(client).status_code)
            except (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError):
                break  # the port is closed, or closed between two requests
    return statuses


class TestClientsThatMisbehave:
    def test_others_get_their_answers_and_the_memory_stays_bounded(self, served: ServerProcess) -> None:
        with served.client() as client:
            for _ in range(20):
                assert pose(client).status_code == 200
        before = served.resident_mib()
        stop = threading.Event()
        rude = [threading.Thread(target=act, args=(served.ports["light"], stop)) for act in RUDE for _ in range(2)]
        for thread in rude:
            thread.start()
        try:
            with served.client() as client:
                for _ in range(100):
                    assert pose(client).status_code == 200
                    assert client.get("/livez").status_code == 200
        finally:
            stop.set()
            for thread in rude:
                thread.join()
        with served.client() as client:
            assert pose(client).status_code == 200
            assert client.get("/health").json()["status"] == "healthy"
        # Eight clients that send up to 32 MiB may leave heaps behind, but not one for each of their requests.
        assert served.resident_mib() - before < 300
        assert served.stop() == 0

    def test_a_client_that_leaves_frees_its_place(self, served: ServerProcess) -> None:
        with served.client() as client:
            assert pose(client).status_code == 200
        for _ in range(50):
            leave(served.ports["light"], threading.Event())
        with served.client() as client:
            waiting = re.compile(r'hearthwatch_queue_waiting\{model="pose_estimator"\} 0\.0')
            until(lambda: waiting.search(client.get("/metrics").text))
            assert pose(client).status_code == 200


def _head(length: int, kind: str = "image/jpeg") -> bytes:
    return (
        f"POST /pose-analyze HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n".encode()
    )


def _send(port: int, data: bytes, *, read: bool = False) -> None:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(data)
            if read:
                connection.recv(65536)
    except OSError:
        return  # turned away, which is what is wanted


def leave(port: int, _stop: threading.Event) -> None:
    """Ask and do not wait for the answer."""
    _send(port, _head(len(PICTURE)) + PICTURE)


def leave_again_and_again(port: int, stop: threading.Event) -> None:
    while not stop.wait(0.01):
        leave(port, stop)


def send_garbage(port: int, stop: threading.Event) -> None:
    while not stop.wait(0.01):
        _send(port, os.urandom(4096), read=True)
        _send(port, _head(4096) + os.urandom(4096), read=True)
        _send(port, _head(4096, "application/json") + b"{" * 4096, read=True)


def send_too_much(port: int, stop: threading.Event) -> None:
    while not stop.wait(0.05):
        _send(port, _head(64 << 20) + b"x" * (1 << 20), read=True)
        _send(port, b"POST /detect HTTP/1.1\r\n" + b"A: " + b"x" * (1 << 20), read=True)


def stall(port: int, stop: threading.Event) -> None:
    """Begin a request and never end it."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(_head(1000) + b"x")
        stop.wait(300)


RUDE = (leave_again_and_again, send_garbage, send_too_much, stall)


class TestStart:
    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HEARTHWATCH_")}
        command = [sys.executable, "-m", "hearthwatch", "serve", *arguments]
        return subprocess.run(
            command, env=environment | variables, capture_output=True, text=True, timeout=60, check=False
        )

    @pytest.mark.parametrize(
        ("arguments", "variables", "told"),
        [
            (("florence",), {}, "not part of this version"),
            (("nonsense",), {}, "light (8096)"),
            (("light", "--host", ANYWHERE), {}, "HEARTHWATCH_API_KEY"),
            (("light",), {"HOST": ANYWHERE}, "HEARTHWATCH_ALLOW_ANONYMOUS"),
            ((), {"PORT": "9000"}, "--port-offset"),
            (("light",), {"ENRICHMENT_PRELOAD_MODELS": "clip"}, "pose_estimator"),
            (("enrichment",), {"ENRICHMENT_POSE_SERVICE": "both"}, "light or heavy"),
            (("light",), {"ONDEMAND_VRAM_BUDGET_MB": "1000", "VRAM_BUDGET_GB": "2"}, "different"),
            (("light",), {"ONDEMAND_VRAM_BUDGET_MB": "much"}, "ONDEMAND_VRAM_BUDGET_MB"),
            (("light", "--port-offset", "60000"), {}, "65535"),
        ],
    )
    def test_what_cannot_be_started_is_one_sentence(
        self, arguments: tuple[str, ...], variables: dict[str, str], told: str
    ) -> None:
        done = self.run(*arguments, **variables)
        assert done.returncode != 0
        assert told in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_port_that_is_taken_is_named(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            done = self.run("light", "--port", str(port))
        assert done.returncode != 0
        assert str(port) in done.stderr

    def test_help_shows_examples(self) -> None:
        done = self.run("--help")
        assert done.returncode == 0
        assert "hearthwatch serve light" in done.stdout


def test_a_key_is_asked_for_and_opens(models: Path, cache: Path) -> None:
    with server_process(models, cache, HEARTHWATCH_API_KEY="secret") as served, served.client() as client:
        assert pose(client).status_code == 401
        assert pose(client, **{"x-api-key": "secret"}).status_code == 200
        assert client.get("/health").status_code == 200
        assert not any("secret" in line for line in served.lines)


def test_a_fresh_machine_is_served_with_sample_weights_and_told_so(cache: Path, tmp_path: Path) -> None:
    samples = write_samples(tmp_path / "samples", ["pose_estimator"])
    fresh: dict[str, Any] = {
        "HEARTHWATCH_MODELS_DIR": "",
        "XDG_CACHE_HOME": str(tmp_path),
        "HEARTHWATCH_SAMPLES_DIR": str(samples),
    }
    with server_process(tmp_path, cache, **fresh) as served, served.client() as client:
        told = "\n".join(served.lines)
        assert "pose_estimator.onnx (sample weights)" in told
        assert "no sample weights exist" in told
        assert SENTENCE in " ".join(told.split())
        assert pose(client).json()["weights"] == "sample"  # the child that measures it finds the sample too
        assert client.get("/health").json()["weights"] == "sample"
        assert client.post("/person-reid", content=PICTURE, headers=RAW).status_code == 503


def test_json_and_raw_agree_over_a_real_connection(served: ServerProcess) -> None:
    def body(answer: httpx.Response) -> dict[str, Any]:
        return {key: value for key, value in answer.json().items() if key != "inference_time_ms"}

    with served.client() as client:
        assert body(pose(client)) == body(client.post("/pose-analyze", json={"image": text_of(PICTURE)}))
