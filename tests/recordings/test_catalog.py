import csv
import functools
import http.server
import shutil
import threading
import zipfile

import pytest

from camvib.errors import CamvibError, SplitError
from camvib.recordings import catalog, fetching

SHAKER = "cantilever_shaker_ds4"


def rows(folder, table):
    with (folder / table).open(encoding="utf-8") as handle:
        return [row | {"sampling_rate_hz": row.get("fs_hz")} for row in csv.DictReader(handle)]


def test_every_set_states_source_licence_and_evidence():
    for known in catalog.list_sets():
        assert all((known.title, known.source, known.licence, known.citation, known.unit_evidence, known.group))
        assert known.files, known.name
        assert len({file.path for file in known.files}) == len(known.files)
        assert all(len(file.sha256) == 64 for file in known.files)


def test_bearing_geometry_agrees_with_its_own_kinematics():
    bearing = catalog.get("cwru").bearing
    balls = 9
    assert bearing.bpfo + bearing.bpfi == pytest.approx(balls, abs=1e-3)
    assert bearing.bpfo == pytest.approx(balls * bearing.ftf, abs=1e-3)
    ratio = 1 - 2 * bearing.ftf
    assert bearing.bsf2 == pytest.approx((1 - ratio**2) / ratio, rel=2e-3)


def test_selection_compares_numbers_as_numbers_and_misses_no_column():
    table = [{"load": "2", "kind": "ball"}, {"load": "2.0", "kind": "inner"}, {"load": "3", "kind": "ball"}]
    assert catalog.select(table, {"load": (2,)}) == [0, 1]
    assert catalog.select(table, {"load": (2, 3), "kind": ("ball",)}) == [0, 2]
    with pytest.raises(SplitError, match="no column size"):
        catalog.select(table, {"size": (7,)})


def test_a_split_with_an_empty_or_shared_side_is_refused():
    fold = {"train": {"load": [0]}, "test": {"load": [9]}}
    split = catalog.Split(name="s", why="w", fold=[fold])
    with pytest.raises(SplitError, match="0 for test"):
        split.rows([{"load": 0}])
    both = catalog.Split(name="s", why="w", fold=[{"train": {"load": [0]}, "test": {"load": [0]}}])
    with pytest.raises(SplitError, match="1 on both sides"):
        both.rows([{"load": 0}])


def test_unknown_names_list_the_known_ones():
    with pytest.raises(CamvibError, match=r"no data set 'cwu'.*dropbear8"):
        catalog.get("cwu")
    with pytest.raises(SplitError, match="leave-one-size-out"):
        catalog.get("cwru").split("random")
    with pytest.raises(SplitError, match="group:COLUMN"):
        catalog.get("formats").split()


def test_honest_splits_of_the_real_tables(shared_data):
    counts = {}
    for known in catalog.list_sets():
        table = rows(shared_data / known.name, known.labels)
        for split in known.splits:
            counts[known.name, split.name] = [(len(train), len(test)) for train, test in split.rows(table)]
            for train, test in split.rows(table):
                assert {table[i]["label"] for i in test} <= {table[i]["label"] for i in train}
                if split.honest and known.name != "dropbear8":
                    shared = {table[i][known.group_column] for i in train} & {
                        table[i][known.group_column] for i in test
                    }
                    assert not shared
    assert counts["dropbear8", "out-to-back"] == [(24, 8)]
    assert counts["cwru", "leave-one-size-out"] == [(18, 9)] * 3
    assert counts["bistablex_cantilever", "by-tilt"] == [(64, 63), (63, 64)]


def test_the_real_folders_verify_and_are_found(shared_data):
    for known in catalog.list_sets():
        assert fetching.verify(known.name, shared_data / known.name) == []
        assert catalog.find(shared_data / known.name) == known


def test_a_copy_under_another_name_is_found_and_a_namesake_is_not(shared_data, tmp_path):
    shutil.copy(shared_data / "cwru" / "labels.csv", tmp_path)
    assert catalog.find(tmp_path).name == "cwru"
    namesake = tmp_path / "cwru"
    namesake.mkdir()
    (namesake / "labels.csv").write_text("file,label,group\na.csv,x,1\n")
    assert catalog.find(namesake) is None
    assert catalog.find(tmp_path / "absent") is None


def test_fetch_from_a_mirror_unpacks_and_mends(shared_data, tmp_path):
    out = fetching.fetch("bistablex_cantilever", tmp_path / "out", shared_data)
    assert fetching.verify("bistablex_cantilever", out) == []
    first = catalog.get("bistablex_cantilever").files[1].path
    (out / first).write_bytes(b"damaged")
    (out / "labels.csv").unlink()
    problems = fetching.verify("bistablex_cantilever", out)
    assert len(problems) == 2
    assert any("labels.csv is missing" in problem for problem in problems)
    assert any(first in problem and "expected" in problem for problem in problems)
    fetching.fetch("bistablex_cantilever", out, shared_data / "bistablex_cantilever")
    assert fetching.verify("bistablex_cantilever", out) == []


def test_a_damaged_mirror_is_refused_and_leaves_nothing_behind(shared_data, tmp_path):
    mirror = tmp_path / "mirror"
    shutil.copytree(shared_data / SHAKER, mirror)
    name = "data_set_2_downsampled_by_16.lvm"
    (mirror / name).write_bytes((mirror / name).read_bytes()[:-1])
    with pytest.raises(CamvibError, match=rf"{name} has sha256 [0-9a-f]{{64}}, expected 1f1b704a") as error:
        fetching.fetch(SHAKER, tmp_path / "out", mirror)
    assert "Fetch it again" in error.value.remedy
    assert not (tmp_path / "out" / name).exists()
    assert not list((tmp_path / "out").glob("*.part"))


def test_an_archive_without_the_file_says_what_is_missing(shared_data, tmp_path):
    shutil.copy(shared_data / "bistablex_cantilever" / "labels.csv", tmp_path)
    with zipfile.ZipFile(tmp_path / "recordings.zip", "w") as archive:
        archive.writestr("other.csv", "1")
    assert len(fetching.verify("bistablex_cantilever", tmp_path)) == 130


def test_converted_sets_need_a_mirror(tmp_path):
    with pytest.raises(CamvibError, match="converted from https") as error:
        fetching.fetch("cwru", tmp_path)
    assert "--from DIR" in error.value.remedy


@pytest.fixture
def source(tmp_path):
    """Serve a folder on the loopback interface; gives the folder and its address."""
    root = tmp_path / "source"
    root.mkdir()
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(quiet, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield root, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_download_is_checked_and_labels_come_along(shared_data, source, tmp_path):
    root, address = source
    known = catalog.get(SHAKER).model_copy(update={"raw_url": address})
    for file in known.files:
        if known.url(file):
            target = root / known.url(file).removeprefix(f"{address}/")
            target.parent.mkdir(parents=True)
            shutil.copy(shared_data / SHAKER / file.path, target)
    out = fetching.fetch_set(known, tmp_path / "out")
    assert fetching.verify(SHAKER, out) == []
    assert catalog.find(out) == catalog.get(SHAKER)
    target.write_bytes(b"not found")
    (out / known.files[2].path).unlink()
    with pytest.raises(CamvibError, match=r"data_set_3.*hash"):
        fetching.fetch_set(known, out)
    target.unlink()
    with pytest.raises(CamvibError, match="404") as error:
        fetching.fetch_set(known, out)
    assert "--from DIR" in error.value.remedy
