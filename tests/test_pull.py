"""Pulling weights from a hub on loopback that speaks the hub's protocol, and misbehaves."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hearthwatch
from fake_hub import COMMIT, FakeHub
from hearthwatch.artifacts.catalog import CatalogEntry
from hearthwatch.artifacts.download import MAX_ATTEMPTS, Hooks
from hearthwatch.artifacts.lockfile import LOCK_FILE, LockRow, read_lock, record
from hearthwatch.artifacts.pull import STAGING, Policy, PulledFile, pull
from hearthwatch.errors import PullError, WeightsInvalid

#: 1 MiB, longer than several reads from a socket, and no part like another.
BODY = b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(1 << 15))
SHA256 = hashlib.sha256(BODY).hexdigest()
CUT = 600_001
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)

ENTRY = CatalogEntry("yolo26", "net.onnx", "yolo26", "AGPL-3.0", repository="maker/net", path="onnx/model.onnx")
PINNED = replace(ENTRY, sha256=SHA256, size_bytes=len(BODY))
PERMISSIVE = replace(ENTRY, licence="MIT")


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub(files={("maker/net", "onnx/model.onnx"): BODY}, licences={"maker/net": "agpl-3.0"}).running() as hub:
        yield hub


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    return tmp_path / "models"


def fetch(
    entry: CatalogEntry,
    models_dir: Path,
    hub: FakeHub,
    *,
    hooks: Hooks | None = None,
    offline: bool = False,
    policy: Policy = "any",
    force: bool = False,
) -> PulledFile:
    quick = hooks or Hooks(sleep=lambda _: None, now=lambda: NOON)
    return pull(entry, models_dir, endpoint=hub.url, offline=offline, policy=policy, force=force, hooks=quick)


def staged(models_dir: Path) -> list[Path]:
    return sorted((models_dir / STAGING).glob("*.partial"))


class Interrupt:
    """Ctrl-C when the first bytes are on disk."""

    def __call__(self, done: int, total: int) -> None:
        if done >= 100_000:
            raise KeyboardInterrupt


def test_a_pull_brings_the_file_and_records_where_it_came_from(hub: FakeHub, models_dir: Path) -> None:
    file = fetch(ENTRY, models_dir, hub)
    assert (file.status, file.path) == ("downloaded", models_dir / "yolo26" / "net.onnx")
    assert file.path.read_bytes() == BODY
    assert read_lock(models_dir) == {
        "yolo26/net.onnx": LockRow(
            model="yolo26",
            repository="maker/net",
            path="onnx/model.onnx",
            revision=COMMIT,
            sha256=SHA256,
            size_bytes=len(BODY),
            license="agpl-3.0",
            pulled_at="2026-11-20T12:00:00+00:00",
        )
    }
    assert staged(models_dir) == []


def test_a_second_pull_asks_the_hub_nothing(hub: FakeHub, models_dir: Path) -> None:
    fetch(ENTRY, models_dir, hub)
    requests = len(hub.requests)
    again = fetch(ENTRY, models_dir, hub)
    assert (again.status, again.sha256, again.revision) == ("present", SHA256, COMMIT)
    assert len(hub.requests) == requests


def test_the_hub_is_told_of_the_pull_before_it_starts_and_of_its_progress(hub: FakeHub, models_dir: Path) -> None:
    told: list[object] = []
    hooks = Hooks(
        on_start=lambda _, remote: told.append((remote.size_bytes, remote.licence)),
        on_progress=lambda done, total: told.append((done, total)),
    )
    fetch(ENTRY, models_dir, hub, hooks=hooks)
    assert told[0] == (len(BODY), "agpl-3.0")
    assert told[-1] == (len(BODY), len(BODY))
    assert len(told) > 3


def test_a_broken_download_continues_where_it_stopped(hub: FakeHub, models_dir: Path) -> None:
    hub.cut_after = [CUT]
    waits: list[float] = []
    file = fetch(ENTRY, models_dir, hub, hooks=Hooks(sleep=waits.append))
    first, second = hub.downloads
    assert "range" not in first.headers
    assert second.headers["range"] == f"bytes={CUT}-", "no byte is fetched twice"
    assert waits == [1.0]
    assert file.path.read_bytes() == BODY


@settings(max_examples=20, deadline=None)
@given(body=st.binary(min_size=1, max_size=3000), cuts=st.lists(st.integers(1, 3000), max_size=8))
def test_wherever_the_line_breaks_the_bytes_are_the_same(body: bytes, cuts: list[int]) -> None:
    misbehaving = FakeHub(files={("maker/net", "onnx/model.onnx"): body}, cut_after=[*cuts])
    with misbehaving.running() as hub, TemporaryDirectory() as folder:
        assert fetch(ENTRY, Path(folder), hub).path.read_bytes() == body


def test_a_download_that_keeps_breaking_is_given_up_and_the_next_pull_continues_it(
    hub: FakeHub, models_dir: Path
) -> None:
    hub.cut_after = [CUT, *[0] * (MAX_ATTEMPTS - 1)]
    with pytest.raises(PullError, match=r"broke off at 0\.\d of 1\.0 MiB.*pull again to continue"):
        fetch(ENTRY, models_dir, hub)
    assert not (models_dir / "yolo26").exists()
    (partial,) = staged(models_dir)
    size = partial.stat().st_size
    assert 0 < size < len(BODY)
    fetch(ENTRY, models_dir, hub)
    assert hub.downloads[-1].headers["range"] == f"bytes={size}-"
    assert (models_dir / "yolo26" / "net.onnx").read_bytes() == BODY


def test_ctrl_c_keeps_what_has_arrived(hub: FakeHub, models_dir: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fetch(ENTRY, models_dir, hub, hooks=Hooks(on_progress=Interrupt()))
    (partial,) = staged(models_dir)
    assert partial.stat().st_size >= 100_000
    fetch(ENTRY, models_dir, hub)
    assert "range" in hub.downloads[-1].headers
    assert (models_dir / "yolo26" / "net.onnx").read_bytes() == BODY


def test_a_hub_that_cannot_continue_sends_the_file_from_the_start(hub: FakeHub, models_dir: Path) -> None:
    hub.cut_after, hub.ranges = [CUT], False
    assert fetch(PINNED, models_dir, hub).path.read_bytes() == BODY
    assert len(hub.downloads) == 2


def test_a_busy_hub_is_asked_again(hub: FakeHub, models_dir: Path) -> None:
    hub.statuses = [503, 429]
    waits: list[float] = []
    fetch(ENTRY, models_dir, hub, hooks=Hooks(sleep=waits.append))
    assert waits == [1.0, 2.0]


def test_bytes_of_two_versions_of_a_file_never_meet(hub: FakeHub, models_dir: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fetch(ENTRY, models_dir, hub, hooks=Hooks(on_progress=Interrupt()))
    newer = BODY[::-1]
    hub.files["maker/net", "onnx/model.onnx"] = newer
    assert fetch(ENTRY, models_dir, hub).path.read_bytes() == newer
    assert "range" not in hub.downloads[-1].headers
    assert staged(models_dir) == []


def test_a_file_with_another_digest_than_the_catalogs_is_thrown_away(hub: FakeHub, models_dir: Path) -> None:
    before = models_dir / "yolo26" / "net.onnx"
    before.parent.mkdir(parents=True)
    before.write_bytes(b"what was there")
    with pytest.raises(PullError, match=f"has sha256 {SHA256}, but the catalog says {'0' * 64}"):
        fetch(replace(ENTRY, sha256="0" * 64), models_dir, hub, force=True)
    assert before.read_bytes() == b"what was there"
    assert staged(models_dir) == []
    assert read_lock(models_dir) == {}


def test_a_digest_that_the_hub_states_is_compared_before_the_download(hub: FakeHub, models_dir: Path) -> None:
    hub.states_sha256 = True
    with pytest.raises(PullError, match="nothing was downloaded"):
        fetch(replace(ENTRY, sha256="0" * 64), models_dir, hub)
    assert hub.downloads == []


def test_the_first_pull_is_trusted_and_the_next_one_must_bring_the_same(hub: FakeHub, models_dir: Path) -> None:
    first = fetch(ENTRY, models_dir, hub)
    assert any("trusted from this first pull on" in note for note in first.notes)
    first.path.unlink()
    hub.files["maker/net", "onnx/model.onnx"], hub.commit = BODY[::-1], "f" * 40
    hub.revisions["maker/net", "onnx/model.onnx", COMMIT] = BODY
    again = fetch(ENTRY, models_dir, hub)
    assert again.path.read_bytes() == BODY, "the recorded revision is asked for, not the newest"
    assert not any("trusted" in note for note in again.notes)
    again.path.unlink()
    del hub.revisions["maker/net", "onnx/model.onnx", COMMIT]
    with pytest.raises(PullError, match=f"but {LOCK_FILE} says {SHA256}"):
        fetch(ENTRY, models_dir, hub)
    assert fetch(ENTRY, models_dir, hub, force=True).path.read_bytes() == BODY[::-1]


def test_a_file_that_was_changed_is_reported_and_left_alone(hub: FakeHub, models_dir: Path) -> None:
    file = fetch(ENTRY, models_dir, hub)
    file.path.write_bytes(b"fine-tuned")
    with pytest.raises(PullError, match="move it away, or replace it with --force"):
        fetch(ENTRY, models_dir, hub)
    assert file.path.read_bytes() == b"fine-tuned"
    assert fetch(ENTRY, models_dir, hub, force=True).path.read_bytes() == BODY


def test_a_file_of_unknown_origin_is_left_alone(hub: FakeHub, models_dir: Path) -> None:
    mine = models_dir / "yolo26" / "net.onnx"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    file = fetch(ENTRY, models_dir, hub)
    assert (file.status, file.path.read_bytes(), hub.requests) == ("present", b"mine", [])
    assert "its origin is not known" in file.notes[0]


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (replace(ENTRY, repository="maker/gone"), "there is no repository .*maker/gone.*never checked"),
        (replace(ENTRY, path="gone.onnx"), "maker/net has no file gone.onnx.*never checked"),
        (replace(ENTRY, repository="maker/net/../x"), "cannot be asked for"),
    ],
    ids=["repository", "file", "name"],
)
def test_what_the_hub_does_not_have_is_said_plainly(
    entry: CatalogEntry, sentence: str, hub: FakeHub, models_dir: Path
) -> None:
    with pytest.raises(PullError, match=sentence):
        fetch(entry, models_dir, hub)
    assert hub.downloads == []


def test_a_verified_row_casts_no_doubt_on_the_catalog(hub: FakeHub, models_dir: Path) -> None:
    with pytest.raises(PullError) as caught:
        fetch(replace(ENTRY, path="gone.onnx", verified=True), models_dir, hub)
    assert "never checked" not in str(caught.value)


def test_a_gated_repository_says_what_to_do(hub: FakeHub, models_dir: Path) -> None:
    hub.gated.add("maker/net")
    with pytest.raises(PullError, match="is gated: accept its terms there and log in"):
        fetch(ENTRY, models_dir, hub)


def test_a_hub_that_nobody_answers_for_is_a_sentence(models_dir: Path) -> None:
    with FakeHub().running() as gone:
        pass
    with pytest.raises(PullError, match=rf"127\.0\.0\.1:{gone.port} cannot be reached"):
        fetch(ENTRY, models_dir, gone)


def test_a_server_that_is_no_hub_is_not_believed(hub: FakeHub, models_dir: Path) -> None:
    hub.is_hub = False
    with pytest.raises(PullError, match="not as a model hub does"):
        fetch(ENTRY, models_dir, hub)
    assert hub.downloads == []


@pytest.mark.parametrize("endpoint", ["", "huggingface.co", "ftp://hub", "http://", "http://hub:port"])
def test_an_endpoint_that_is_no_address_is_named(endpoint: str, models_dir: Path) -> None:
    with pytest.raises(PullError, match="HF_ENDPOINT="):
        pull(ENTRY, models_dir, endpoint=endpoint)


def test_offline_nothing_is_downloaded_but_what_is_there_counts(hub: FakeHub, models_dir: Path) -> None:
    with pytest.raises(PullError, match=r"HEARTHWATCH_OFFLINE is set: maker/net/onnx/model\.onnx is not downloaded"):
        fetch(ENTRY, models_dir, hub, offline=True)
    assert hub.requests == []
    fetch(ENTRY, models_dir, hub)
    assert fetch(ENTRY, models_dir, hub, offline=True).status == "present"


def test_the_policy_refuses_by_the_table_before_the_hub_is_asked(hub: FakeHub, models_dir: Path) -> None:
    with pytest.raises(PullError, match=r"net\.onnx of yolo26 is AGPL-3\.0 \(copyleft\).*instead: D-FINE"):
        fetch(ENTRY, models_dir, hub, policy="permissive")
    assert hub.requests == []


def test_the_policy_believes_the_repository_rather_than_the_table(hub: FakeHub, models_dir: Path) -> None:
    with pytest.raises(PullError, match=r"is agpl-3\.0"):
        fetch(PERMISSIVE, models_dir, hub, policy="permissive")
    assert hub.downloads == []
    hub.licences["maker/net"] = "mit"
    assert fetch(PERMISSIVE, models_dir, hub, policy="permissive").status == "downloaded"


@pytest.mark.parametrize(
    ("licences", "note"),
    [
        ({"maker/net": "agpl-3.0"}, "the repository says the licence is agpl-3.0, the catalog MIT"),
        ({}, "states no licence"),
    ],
    ids=["another", "none"],
)
def test_a_licence_that_is_not_the_tables_is_reported(
    licences: dict[str, str], note: str, hub: FakeHub, models_dir: Path
) -> None:
    hub.licences = licences
    assert any(note in text for text in fetch(PERMISSIVE, models_dir, hub).notes)


def test_a_row_without_a_hub_says_how_to_get_the_file(models_dir: Path) -> None:
    entry = replace(ENTRY, repository=None, manual="Ask the author")
    with pytest.raises(PullError, match="is on no hub: Ask the author"):
        pull(entry, models_dir, endpoint="http://127.0.0.1:9")


def test_two_threads_that_pull_the_same_file_download_it_once(hub: FakeHub, models_dir: Path) -> None:
    waited: list[bool] = []
    with ThreadPoolExecutor(2) as pool:
        pulls = [
            pool.submit(fetch, ENTRY, models_dir, hub, hooks=Hooks(on_wait=lambda: waited.append(True)))
            for _ in range(2)
        ]
        statuses = sorted(one.result().status for one in pulls)
    assert statuses == ["downloaded", "present"]
    assert len(hub.downloads) == 1
    assert len(waited) <= 1


def test_two_processes_that_pull_different_files_both_end_in_the_lock_file(hub: FakeHub, models_dir: Path) -> None:
    hub.files["maker/other", "other.onnx"] = BODY[:1000]
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[6]);"
        "from hearthwatch.artifacts.catalog import CatalogEntry; from hearthwatch.artifacts.pull import pull;"
        "e = CatalogEntry('yolo26', sys.argv[1], 'yolo26', 'MIT', repository=sys.argv[2], path=sys.argv[3]);"
        "print(pull(e, Path(sys.argv[4]), endpoint=sys.argv[5]).status)"
    )
    source = str(Path(hearthwatch.__file__).parents[1])
    rows = [("net.onnx", "maker/net", "onnx/model.onnx"), ("other.onnx", "maker/other", "other.onnx")]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, *row, str(models_dir), hub.url, source],
            stdout=subprocess.PIPE,
            text=True,
        )
        for row in rows
    ]
    answers = sorted(process.communicate(timeout=60)[0].strip() for process in running)
    assert answers == ["downloaded", "downloaded"]
    assert set(read_lock(models_dir)) == {"yolo26/net.onnx", "yolo26/other.onnx"}


def test_rows_that_others_wrote_stay_as_they_are(models_dir: Path) -> None:
    models_dir.mkdir()
    theirs = {"model": "x", "of a later version": [1]}
    (models_dir / LOCK_FILE).write_text(json.dumps({"version": 7, "note": "hand-made", "files": {"x/x.onnx": theirs}}))
    row = LockRow(
        model="y",
        repository="a/b",
        path="y.onnx",
        revision=COMMIT,
        sha256=SHA256,
        size_bytes=1,
        license=None,
        pulled_at="",
    )
    record(models_dir, "y/y.onnx", row)
    content = json.loads((models_dir / LOCK_FILE).read_text())
    assert content["files"]["x/x.onnx"] == theirs
    assert (content["version"], content["note"], list(content["files"])) == (7, "hand-made", ["x/x.onnx", "y/y.onnx"])


@pytest.mark.parametrize("content", ["", "[]", '{"files": 3}', '{"files": {"yolo26/net.onnx": {"sha256": "x"}}}'])
def test_a_corrupt_lock_file_stops_the_pull_before_anything_is_downloaded(
    content: str, hub: FakeHub, models_dir: Path
) -> None:
    models_dir.mkdir()
    (models_dir / LOCK_FILE).write_text(content)
    with pytest.raises(WeightsInvalid, match="is not a lock file"):
        fetch(ENTRY, models_dir, hub)
    assert hub.downloads == []
    assert (models_dir / LOCK_FILE).read_text() == content


@pytest.mark.parametrize(
    "entry",
    [
        replace(ENTRY, file="../net.onnx"),
        replace(ENTRY, file="/net.onnx"),
        replace(ENTRY, file=""),
        replace(ENTRY, folder=".."),
        replace(ENTRY, folder="a/b"),
        replace(ENTRY, path="../../secret"),
        replace(ENTRY, path="/etc/passwd"),
    ],
    ids=lambda entry: f"{entry.folder}|{entry.file}|{entry.path}",
)
def test_names_that_lead_elsewhere_are_refused(entry: CatalogEntry, hub: FakeHub, models_dir: Path) -> None:
    with pytest.raises(PullError, match=r"is no name|is no path"):
        fetch(entry, models_dir, hub)
    assert hub.requests == []


@pytest.mark.parametrize("name", ["yolo26", STAGING, "yolo26/net.onnx"])
def test_pull_writes_through_no_symbolic_link(name: str, hub: FakeHub, models_dir: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (models_dir / name).parent.mkdir(parents=True)
    (models_dir / name).symlink_to(elsewhere)
    with pytest.raises(PullError, match="is a symbolic link"):
        fetch(ENTRY, models_dir, hub, force=True)
    assert list(elsewhere.iterdir()) == []


def test_a_models_directory_may_itself_be_a_link(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "models").symlink_to(tmp_path / "disk")
    assert fetch(ENTRY, tmp_path / "models", hub).path == tmp_path / "disk" / "yolo26" / "net.onnx"


def test_a_disk_that_is_too_small_is_said_before_the_download(hub: FakeHub, models_dir: Path) -> None:
    with pytest.raises(PullError, match=r"needs 1\.0 MiB and the disk of .* has 0\.0 MiB free"):
        fetch(ENTRY, models_dir, hub, hooks=Hooks(free_bytes=lambda _: 1000))
    assert hub.downloads == []


def test_a_models_directory_that_cannot_be_written_is_a_sentence(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(PullError, match=r"models cannot be written: "):
        fetch(ENTRY, tmp_path / "models", hub)


def test_a_download_may_be_sent_to_another_host(hub: FakeHub, models_dir: Path) -> None:
    hub.redirects, hub.cut_after = True, [None, CUT]
    assert fetch(PINNED, models_dir, hub).path.read_bytes() == BODY


def test_a_hub_on_loopback_is_reached_past_any_proxy(
    hub: FakeHub, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import close_session

    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    close_session()  # the next one reads the environment again
    try:
        assert fetch(ENTRY, models_dir, hub).status == "downloaded"
    finally:
        close_session()


def test_the_hub_learns_nothing_but_what_is_asked_for(
    hub: FakeHub, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fetch(ENTRY, models_dir, hub)
    assert constants.HF_HUB_DISABLE_TELEMETRY, "else the library asks the public hub which agents there are"
    assert {request.path.partition("/maker/")[0] for request in hub.requests} == {"", "/api/models"}
    for request in hub.requests:
        assert "authorization" not in request.headers, "a token is never sent in the clear"
        assert request.headers["user-agent"].startswith("hearthwatch/")
        assert "torch/" not in request.headers["user-agent"]
        assert "agent/" not in request.headers["user-agent"]
