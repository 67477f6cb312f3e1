"""The benchmark of the services counts right, and its page says what was measured. No test looks at a time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from benchmarks.__main__ import USUAL, read_command_line
from benchmarks.baselines.bare_loop import loop
from benchmarks.pairs import Samples
from benchmarks.processes import MeasurementFailed
from benchmarks.report import Report, store, to_json
from benchmarks.serving import cold, health, http_load, page, plan, process_tree, rates, throughput
from benchmarks.serving.companion import Companion
from benchmarks.serving.others import LITSERVE, OTHERS, STRAIGHTFORWARD, TRIVIAL, others, unavailable
from benchmarks.serving.pictures import BASE64, RAW, write_bodies
from benchmarks.serving.servers import Command, Reply, Server, free_port
from benchmarks.serving.windows import Reading, in_turns, reading
from benchmarks.work import Answer

LINUX = pytest.mark.skipif(process_tree.unavailable() is not None, reason=process_tree.unavailable() or "")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


@dataclass
class Wire:
    """A server of one thread a connection that gives the same bytes to every request; requests end with `Host`'s."""

    given: bytes = OK
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    def serve(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:  # closed: the test is over
                return
            self.connections += 1
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(1 << 16):
                self.requests.append(data)
                connection.sendall(self.given)


@pytest.fixture
def wire() -> Iterator[Wire]:
    found = Wire()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        found.port = listening.getsockname()[1]
        thread = threading.Thread(target=found.serve, args=(listening,), daemon=True)
        thread.start()
        yield found
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def pieces(*parts: bytes) -> Callable[[int], bytes]:
    rest = iter(parts)
    return lambda _size: next(rest, b"")


class TestLoadGenerator:
    def test_every_connection_is_kept_and_sends_its_requests(self, wire: Wire) -> None:
        done = http_load.answer(wire.port, "/health", connections=3, requests=5)
        assert done["count"] == len(done["latencies_ms"]) == len(wire.requests) == 15
        assert wire.connections == 3
        assert wire.requests[0].startswith(b"GET /health HTTP/1.1\r\n")

    def test_a_body_is_sent_as_it_is(self, wire: Wire, tmp_path: Path) -> None:
        (tmp_path / "x.jpg").write_bytes(b"\xff\xd8picture")
        http_load.answer(wire.port, "/detect", body=str(tmp_path / "x.jpg"), content_type="image/jpeg", requests=1)
        head, _, body = wire.requests[0].partition(b"\r\n\r\n")
        assert head.startswith(b"POST /detect HTTP/1.1\r\n")
        assert b"Content-Type: image/jpeg" in head
        assert (b"Content-Length: 9" in head, body) == (True, b"\xff\xd8picture")

    def test_an_answer_that_is_not_200_ends_the_measurement_with_its_text(self, wire: Wire) -> None:
        wire.given = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 7\r\n\r\nloading"
        with pytest.raises(http_load.BadAnswer, match="503 Service Unavailable: loading"):
            http_load.answer(wire.port, "/", requests=1)

    def test_an_answer_in_pieces_is_read_to_its_end(self) -> None:
        parts = [OK[:10], OK[10:37], OK[37:-1], OK[-1:]]
        assert http_load.read_answer(pieces(*parts)) == b"hi"

    @pytest.mark.parametrize("cut", [b"HTTP/1.1 200 OK\r\n", OK[:-1]], ids=["head", "body"])
    def test_a_connection_that_ends_inside_an_answer_is_an_error(self, cut: bytes) -> None:
        with pytest.raises(http_load.BadAnswer, match="closed the connection"):
            http_load.read_answer(pieces(cut))

    def test_an_answer_without_a_length_cannot_be_told_from_the_next(self) -> None:
        with pytest.raises(http_load.BadAnswer, match="without a length"):
            http_load.read_answer(pieces(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))

    def test_nothing_is_sent_after_the_seconds_but_the_first_always_is(self) -> None:
        now = [10.0]
        more = http_load.more_until(until=5.0, requests=None, clock=lambda: now[0])
        assert more(0)
        assert not more(1)
        now[0] = 4.0
        assert more(1)

    def test_it_answers_orders_in_a_process_of_its_own(self, wire: Wire) -> None:
        with Companion("benchmarks.serving.http_load") as load:
            assert load.ask({"port": wire.port, "path": "/", "requests": 2})["count"] == 2
            wire.given = b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"
            with pytest.raises(MeasurementFailed, match=r"http_load: BadAnswer: HTTP/1.1 500 Oh"):
                load.ask({"port": wire.port, "path": "/", "requests": 1})
            wire.given = OK
            assert load.ask({"port": wire.port, "path": "/", "requests": 1})["count"] == 1  # an error is no end

    def test_a_companion_that_ended_is_told(self) -> None:
        with Companion("benchmarks.no_such_module") as absent, pytest.raises(MeasurementFailed, match="ended without"):
            absent.ask({})


def a_process(proc: Path, pid: int, parent: int, ticks: Sequence[int], name: str = "python", kib: int = 1024) -> None:
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    times = " ".join(str(tick) for tick in ticks)
    (folder / "stat").write_text(f"{pid} ({name}) S {parent} 1 1 0 -1 0 0 0 0 0 {times} 20 0 1 0\n")
    (folder / "status").write_text(f"Name:\tx\nVmRSS:\t{2 * kib} kB\nRssAnon:\t{kib} kB\n")


class TestProcessTree:
    @pytest.fixture
    def proc(self, tmp_path: Path) -> Path:
        a_process(tmp_path, 10, 1, (100, 50, 7, 3))
        a_process(tmp_path, 11, 10, (20, 0, 0, 0), name="a (b) c d")
        a_process(tmp_path, 12, 11, (5, 5, 0, 0))
        a_process(tmp_path, 20, 1, (9000, 0, 0, 0))
        (tmp_path / "meminfo").write_text("not a process")
        return tmp_path

    def test_descendants_belong_to_it_and_others_do_not(self, proc: Path) -> None:
        assert process_tree.tree(10, proc) == [10, 11, 12]
        assert process_tree.tree(99, proc) == []

    def test_its_time_is_that_of_all_of_them_and_of_those_that_ended(self, proc: Path) -> None:
        ticks = process_tree.cpu_s(10, proc) / process_tree.cpu_s(12, proc) * 10
        assert ticks == pytest.approx(100 + 50 + 7 + 3 + 20 + 10)

    def test_its_memory_is_that_of_all_of_them(self, proc: Path) -> None:
        assert process_tree.memory_mib(10, proc) == {"anonymous": 3.0, "resident": 6.0}

    def test_where_there_is_no_table_of_processes_there_is_a_reason(self, tmp_path: Path) -> None:
        assert "on Linux only" in (process_tree.unavailable(tmp_path) or "")


@LINUX
class TestServers:
    def test_a_server_is_waited_for_asked_paused_and_stopped(self) -> None:
        with Server(others(None, [TRIVIAL])[TRIVIAL]) as server:
            assert len(server.ask("/any", b"body", "image/jpeg").content["embedding"]) == 512
            assert server.cpu_s() > 0
            assert server.memory_mib()["resident"] > 1
            server.pause()
            server.resume()
            assert server.ask("/again").status == 200
        with pytest.raises(OSError, match="refused"):
            server.ask("/gone")

    def test_a_paused_server_is_stopped_as_well(self) -> None:
        with Server(others(None, [TRIVIAL])[TRIVIAL]) as server:
            server.pause()
        with pytest.raises(OSError, match="refused"):
            server.ask("/gone")

    def test_a_server_that_ends_is_quoted(self) -> None:
        port = free_port()
        with pytest.raises(MeasurementFailed, match=r"exit code 3: no weights"):
            Server(Command(["-c", "import sys; print('no weights'); sys.exit(3)"], port, "/"))

    def test_what_is_not_installed_or_has_no_file_is_left_out_with_the_reason(self, tmp_path: Path) -> None:
        assert unavailable(TRIVIAL, tmp_path) is None
        torchless = unavailable(STRAIGHTFORWARD, tmp_path) or ""
        assert "torch not installed" in torchless or "is not in the folder of weights" in torchless
        assert all(other.at_its_best for name, other in OTHERS.items() if name != TRIVIAL)


class TestBareLoop:
    def test_it_calls_until_the_seconds_are_over_and_finishes_what_it_began(self) -> None:
        now = [0.0]

        def call() -> None:
            now[0] += 0.4

        found = loop(call, 1, 1.0, clock=lambda: now[0], cpu_clock=lambda: 2 * now[0])
        assert found == {"count": 3, "elapsed_s": pytest.approx(1.2), "cpu_s": pytest.approx(2.4)}

    def test_each_thread_calls(self) -> None:
        barrier = threading.Barrier(2, timeout=30)
        assert loop(barrier.wait, 2, 0.0)["count"] == 2

    def test_a_call_that_fails_is_raised(self) -> None:
        def call() -> None:
            raise ValueError("no picture")

        with pytest.raises(ValueError, match="no picture"):
            loop(call, 2, 1.0)


class TestWindows:
    def test_each_is_warmed_up_once_and_each_round_begins_with_the_next(self) -> None:
        log: list[str] = []

        def window(name: str) -> Callable[[], Reading]:
            return lambda: log.append(name) or Reading(float(len(log)), 1.0)  # type: ignore[func-returns-value]

        found = in_turns({name: window(name) for name in "ABC"}, 2)
        assert "".join(log) == "ABC" + "ABC" + "BCA"
        assert found["A"].wall_ms == [4.0, 9.0]
        assert in_turns({"A": window("A")}, 0) == {"A": Samples()}
        assert len(log) == 9

    def test_a_reading_is_milliseconds_of_one_request(self) -> None:
        assert reading(count=50, elapsed_s=2.0, cpu_s=0.5) == Reading(40.0, 10.0)
        with pytest.raises(ValueError, match="without an answer"):
            reading(0, 1.0, 1.0)

    def test_a_server_runs_while_it_is_measured_and_only_then(self) -> None:
        log: list[str] = []
        cpu = iter([5.0, 6.0])
        costs = throughput.Costs()

        def send() -> Mapping[str, Any]:
            log.append("send")
            return {"count": 10, "elapsed_s": 0.5, "cpu_s": 0.02}

        found = throughput.measured(
            "x", lambda: log.append("resume"), lambda: log.append("pause"), lambda: next(cpu), send, costs
        )
        assert log == ["resume", "send", "pause"]
        assert found == Reading(50.0, 100.0)
        assert costs.medians() == {"x": 2.0}

    def test_a_server_whose_window_fails_is_paused_again(self) -> None:
        log: list[str] = []

        def send() -> Mapping[str, Any]:
            raise MeasurementFailed("503")

        with pytest.raises(MeasurementFailed):
            throughput.measured("x", lambda: None, lambda: log.append("pause"), lambda: 0.0, send, throughput.Costs())
        assert log == ["pause"]

    def test_a_server_that_gives_another_embedding_is_not_measured(self) -> None:
        assert throughput.agreements([1.0, 0.0], {"a": {"embedding": [1.0, 0.0]}}) == {"a": 1.0}
        assert throughput.agreements(None, {"a": {"detections": []}}) == {}
        with pytest.raises(MeasurementFailed, match=r"the answer of b has a cosine of 0\.0000"):
            throughput.agreements([1.0, 0.0], {"b": {"embedding": [0.0, 1.0]}})


RATE_JOB = plan.rate_key("/person-reid")
SIDES = {throughput.BARE: 4.0, f"hearthwatch, {RAW.name}": 5.0, f"hearthwatch, {BASE64.name}": 8.0, LITSERVE: 10.0}


def rate_answer(slower: float = 1.0, windows: int = 7) -> Answer:
    """A process: milliseconds of a request by side, ours so many times slower, four times as long at one connection."""
    samples = {}
    for connections, factor in ((1, 4.0), (8, 1.0)):
        for side, ms in SIDES.items():
            value = ms * factor * (slower if side.startswith("hearthwatch") else 1.0)
            samples[throughput.key(side, connections)] = Samples([value] * windows, [2 * value] * windows)
    taken = {"anonymous": 80.0, "resident": 160.0}
    facts = {"start_s": 1.5, "other_start_s": {LITSERVE: 2.5}, "memory_mib": {"before": taken, "after": taken},
             "other_memory_mib": {LITSERVE: {"anonymous": 400.0, "resident": 650.0}}}  # fmt: skip
    return Answer(samples, facts)


def rate_rows(answers: Sequence[Answer]) -> dict[tuple[str, str, int], dict[str, Any]]:
    found = rates.rows(RATE_JOB, "/person-reid", {RATE_JOB: answers}, (1, 8))
    return {(row["transport"], row["beside"], row["connections"]): row for row in found}


class TestRates:
    def test_a_ratio_is_of_rates_so_above_one_is_faster(self) -> None:
        found = rate_rows([rate_answer()] * 5)
        row = found[RAW.name, throughput.BARE, 8]
        assert (row["requests_per_s"], row["beside_requests_per_s"], row["ratio"]) == (200.0, 250.0, 0.8)
        assert (row["cpu_ms"], row["beside_cpu_ms"]) == (10.0, 8.0)
        assert found[BASE64.name, LITSERVE, 8]["ratio"] == 1.25

    def test_goals_are_judged_at_eight_connections(self) -> None:
        found = rate_rows([rate_answer()] * 5)
        short = "falls short (0.80, interval 0.80..0.80, goal 0.88)"
        assert found[RAW.name, throughput.BARE, 8]["verdict"] == short
        assert found[BASE64.name, LITSERVE, 8]["verdict"] == "holds"
        assert found[RAW.name, throughput.BARE, 1]["verdict"] == ""

    def test_a_goal_that_the_interval_touches_holds(self) -> None:
        slow_and_fast = [rate_answer(slower) for slower in (1.0, 1.0, 1.0, 0.9, 0.9)]
        assert rate_rows(slow_and_fast)[RAW.name, throughput.BARE, 8]["verdict"] == "holds"

    def test_few_processes_or_windows_are_not_judged(self) -> None:
        for answers in ([rate_answer()] * 4, [rate_answer(windows=6)] * 5):
            assert rate_rows(answers)[RAW.name, throughput.BARE, 8]["verdict"].startswith("not judged")

    def test_a_server_that_was_left_out_has_no_row(self) -> None:
        assert {beside for _, beside, _ in rate_rows([rate_answer()])} == {throughput.BARE, LITSERVE}

    def test_other_routes_have_no_goal(self) -> None:
        found = rates.rows("job", "/detect", {"job": [rate_answer()] * 5}, (8,))
        assert {row["verdict"] for row in found} == {""}


class TestFirstAnswers:
    def ask(self, log: list[str], status: int = 200) -> Callable[..., Reply]:
        def asked(path: str, body: bytes, content_type: str = "") -> Reply:
            log.append(path)
            return Reply(status, {"bytes_returned": 3 << 20}, 100.0 * len(log))

        return asked

    def test_a_service_is_asked_told_to_unload_and_asked_again(self) -> None:
        log: list[str] = []
        cpu = iter([1.0, 3.0, 4.0, 4.5])
        found = cold.first_answers(self.ask(log), lambda: next(cpu), 900.0, "person_reid", "/person-reid", b"jpeg")
        assert log == ["/person-reid", "/models/unload?model_name=person_reid", "/person-reid"]
        assert found == cold.First(
            900.0, first_ms=100.0, reload_ms=300.0, first_cpu_ms=2000.0, reload_cpu_ms=500.0, returned_mib=3.0
        )

    def test_an_answer_without_weights_is_no_reading(self) -> None:
        with pytest.raises(MeasurementFailed, match="person_reid answered 503"):
            cold.first_answers(self.ask([], 503), lambda: 0.0, 1.0, "person_reid", "/person-reid", b"")

    def test_the_95th_percentile_of_ten_is_the_slowest(self) -> None:
        assert cold.percentile([*range(1, 11)], 95) == 10
        assert cold.percentile([*range(1, 101)], 95) == 95
        assert cold.percentile([7.0], 99) == 7.0

    def test_a_goal_is_for_the_95th_percentile_of_at_least_ten(self) -> None:
        def verdict(kind: str, *readings: float) -> str:
            found: str = cold.row("x", kind, readings, readings)["verdict"]
            return found

        assert verdict("warm", *[400.0] * 9, 500.0) == "holds"
        assert verdict("warm", *[400.0] * 9, 501.0) == "falls short (501 ms, goal 500 ms)"
        assert verdict("cold", *[900.0] * 9) == "not judged (9 of 10 readings)"
        assert verdict("reload", *[900.0] * 10) == ""

    def test_readings_of_all_processes_count_together(self) -> None:
        times = {"warm": [1.0, 2.0], "cold": [3.0, 4.0], "reload": [5.0, 6.0]}
        answer = Answer({}, {**times, "cpu_ms": times})
        found = cold.rows({"job": [answer] * 5}, [("job", "x"), ("failed", "y")])
        assert [(row["kind"], row["readings"], row["max_ms"]) for row in found] == [
            ("warm", 10, 2.0), ("cold", 10, 4.0), ("reload", 10, 6.0)]  # fmt: skip


class TestHealth:
    def test_numbers_are_median_99th_percentile_and_slowest(self) -> None:
        expected = {"requests": 1000, "p50_ms": 500.0, "p99_ms": 990.0, "max_ms": 1000.0}
        assert health.numbers([float(ms) for ms in range(1, 1001)]) == expected

    def test_the_goal_is_for_the_median_of_the_processes(self) -> None:
        def processes(*p99: float) -> list[dict[str, Any]]:
            return [{"requests": 1000, "p50_ms": 1.0, "p99_ms": ms, "max_ms": 90.0} for ms in p99]

        assert health.row("busy", processes(10, 20, 50, 60, 70))["verdict"] == "holds"
        assert health.row("busy", processes(10, 20, 51, 60, 70))["verdict"] == "falls short (51 ms, goal 50 ms)"
        assert health.row("busy", processes(1.0))["verdict"].startswith("not judged")
        assert health.row("busy", processes(10, 20, 30))["p99_ms_of_processes"] == [10, 30]

    def test_what_is_done_meanwhile_is_done_again_and_again_until_the_end(self) -> None:
        enough = threading.Event()
        done: list[int] = []

        def act() -> int:
            done.append(1)
            if len(done) == 3:
                enough.set()
            return 1

        with health.meanwhile(act) as given:
            assert enough.wait(30)
        assert sum(given) == len(done) >= 3

    def test_what_fails_meanwhile_fails_the_measurement(self) -> None:
        failed = threading.Event()

        def act() -> int:
            failed.set()
            raise MeasurementFailed("503")

        with pytest.raises(MeasurementFailed, match="503"), health.meanwhile(act):
            assert failed.wait(30)


class TestPlan:
    def plan(self, folder: Path, *, quick: bool = False, without: Sequence[str] = ()) -> plan.Plan:
        return plan.plan(
            Path("weights"), [], folder, quick=quick,
            why_not=lambda name, _: "not installed" if name in without else None,
            weightless=lambda model, _: "no weights" if model in without else None,
        )  # fmt: skip

    def test_every_light_model_has_its_first_answers_measured_often_enough(self, tmp_path: Path) -> None:
        found = self.plan(tmp_path)
        jobs = {job.key: job for job in found.jobs}
        assert set(found.models) == set(plan.LIGHT_ROUTES)
        for model in plan.LIGHT_ROUTES:
            assert 5 * jobs[plan.cold_key(model)].arguments["readings"] >= cold.MIN_READINGS
        assert {plan.rate_key(route) for route in ("/person-reid", "/pose-analyze", "/detect")} <= set(jobs)
        assert jobs[plan.HEALTH].arguments["requests"] == 1000

    def test_what_is_missing_is_left_out_with_the_reason(self, tmp_path: Path) -> None:
        found = self.plan(tmp_path, without=["pet_classifier", "yolo26", LITSERVE])
        keys = {job.key for job in found.jobs}
        assert plan.rate_key("/detect") not in keys
        assert plan.cold_key("pet_classifier") not in keys
        assert LITSERVE not in found.beside
        assert found.skipped == {"pet_classifier": "no weights", "yolo26": "no weights", LITSERVE: "not installed"}

    def test_a_quick_run_has_fewer_of_everything(self, tmp_path: Path) -> None:
        found = self.plan(tmp_path, quick=True)
        assert set(found.models) == set(plan.QUICK_MODELS)
        assert next(job for job in found.jobs if job.key == plan.HEALTH).arguments["requests"] < 1000

    def test_the_picture_is_written_both_ways(self, tmp_path: Path) -> None:
        facts = write_bodies([], tmp_path)
        assert facts["picture"] == "made"
        assert (tmp_path / RAW.file).stat().st_size == facts["jpeg_bytes"]
        assert set(orjson.loads((tmp_path / BASE64.file).read_bytes())) == {"image"}


def result() -> dict[str, Any]:
    found = plan.Plan([], {"person_reid": "/person-reid"}, [LITSERVE],
                      {"picture": "frame.jpg", "jpeg_bytes": 300_000, "json_bytes": 400_000}, {})  # fmt: skip
    one = {"requests": 1000, "p50_ms": 1.0, "p99_ms": 20.0, "max_ms": 30.0}
    model = {"name": "person_reid", "state": "ready", "engine": "openvino", "precision": "f32", "declared_mb": 100,
             "measured_mb": 41.5, "cost_source": "measured"}  # fmt: skip
    taken = {"before": {"anonymous": 60.0, "resident": 120.0}, "after": {"anonymous": 90.0, "resident": 190.0}}
    generator = {throughput.key(transport.name, count): Samples([0.4], [0.3])
                 for transport in (RAW, BASE64) for count in (1, 8)}  # fmt: skip
    busy = {**one, "meanwhile": 70, "of": "answers"}
    first = {"warm": [200.0] * 2, "cold": [900.0] * 2, "reload": [90.0] * 2}
    answers = {
        RATE_JOB: [rate_answer()] * 5,
        plan.cold_key("person_reid"): [Answer({}, {**first, "cpu_ms": first})] * 5,
        plan.HEALTH: [Answer({}, {"idle": one, "busy": busy, "models": [model], "memory_mib": taken})] * 5,
        plan.TRIVIAL: [Answer(generator, {"client_ms": dict.fromkeys(generator, 0.05)})],
    }
    return plan.summary(found, answers)


class TestPage:
    def report(self) -> Report:
        machine = {"cpu": "Some CPU @ 2 GHz", "cores": 2, "instructions": ["avx512f"], "memory_gib": 8,
                   "system": "Linux x86_64", "python": "3.11", "versions": {"openvino": "1"}, "commit": "abc",
                   "load_before": 0.0}  # fmt: skip
        return Report("2026-11-25", machine, 5, 7, [], serving=result(), skipped={"BentoML": "bentoml not installed"})

    def page(self) -> str:
        return page.page_of(orjson.loads(to_json(self.report())), "2026-11-25-some-cpu-serving.json")

    def test_the_page_has_rates_first_answers_health_models_and_what_is_missing(self) -> None:
        found = self.page()
        assert "| `/person-reid` | raw JPEG | 8 | 200.0 | 10.0 | bare loop | 250.0 | 8.00 | 0.80 |" in found
        assert "0.88: falls short (0.80, interval 0.80..0.80, goal 0.88) |" in found
        assert "| raw JPEG | 8 | 2500 | 0.050 | 0.300 |" in found
        assert (
            "| person_reid | just started, with a cache of engines | 10 | 200.0 | 200.0 | 200.0 | 200.0 | 500: holds |"
            in found
        )
        assert "| 8 connections ask /pose-analyze (70 answers, 70 answers, " in found
        assert "| person_reid | ready | openvino | f32 | 100 | 42 | measured |" in found
        assert "120 MiB (60 of them its own) before its first model and 190 MiB (90 of them its own) at the" in found
        assert "| LitServe | 2.5 | 650 | 400 |" in found
        assert "LitServe: 2 workers, its fast queue" in found
        assert "* BentoML: bentoml not installed" in found

    def test_every_row_of_a_table_has_as_many_cells_as_its_head(self) -> None:
        tables = [block.splitlines() for block in self.page().split("\n\n") if block.startswith("|")]
        assert len(tables) == 6
        for rows in tables:
            assert {row.count("|") for row in rows} == {rows[0].count("|")}

    def test_lines_are_as_long_as_others_are(self) -> None:
        assert all(len(line) <= 120 or line.startswith("|") for line in self.page().splitlines())

    def test_a_run_of_the_services_alone_is_stored_beside_that_of_the_others(self, tmp_path: Path) -> None:
        stored = store(self.report(), tmp_path)
        assert stored.name == "2026-11-25-some-2-ghz-serving.md"
        assert page.newest(tmp_path) == stored.with_suffix(".json")
        assert "## Requests per second" in stored.read_text(encoding="utf-8")

    def test_the_committed_page_is_that_of_the_newest_stored_result(self) -> None:
        source = page.newest()
        if source is None:
            pytest.skip("no result of the services is stored; `python -m benchmarks --only serving` stores one")
        assert page.PAGE.read_text(encoding="utf-8") == page.page_of(orjson.loads(source.read_bytes()), source.name)

    def test_the_services_are_a_run_of_their_own_which_is_stored(self) -> None:
        assert plan.GROUP not in USUAL
        assert read_command_line(["--only", "serving"]).out is not None
        assert read_command_line(["--only", "serving", "--quick"]).out is None
        assert read_command_line(["--only", "serving,engines"]).out is None
