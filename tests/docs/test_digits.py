"""The worked example: digits read, explained and drawn."""

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

from camvib.errors import EmptyFile, ReadError, Truncated, UnknownFormat
from camvib.networks.gap_cnn import GapCnn
from camvib.settings import TrainingSettings
from digit_images import SIZE, Digits, load_bundled, load_mnist, read_idx
from digits import Reader, deletion_check, equalities, erase, explain, fit, main


def idx(values: np.ndarray) -> bytes:
    return bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


@pytest.fixture(scope="module")
def bundled() -> tuple[Digits, Digits]:
    return load_bundled()


@pytest.fixture(scope="module")
def reader(bundled: tuple[Digits, Digits]) -> Reader:
    torch.manual_seed(0)
    few = Digits(*(part[:640] for part in bundled[0]))
    return fit(GapCnn(10), few, TrainingSettings(epochs=3), "GapCnn")


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    """A folder like MNIST's: forty 28×28 training digits, packed, and twenty held out."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 40), ("t10k", 20)):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        images[:, :4] = 0
        labels = (np.arange(count) % 10).astype(np.uint8)
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (tmp_path / f"{part}-labels.idx1-ubyte").write_bytes(idx(labels))
    return tmp_path


@given(values=npst.arrays(np.uint8, npst.array_shapes(min_dims=3, max_dims=3, max_side=6)), packed=st.booleans())
@settings(max_examples=40)
def test_idx_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, values: np.ndarray, packed: bool
) -> None:
    path = tmp_path_factory.mktemp("idx") / ("images.gz" if packed else "images")
    path.write_bytes(gzip.compress(idx(values)) if packed else idx(values))
    assert np.array_equal(read_idx(path, 3), values)


WHOLE = idx(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", EmptyFile, "no bytes"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), UnknownFormat, "starts with 89 50 4e 47, not 00 00 08 03"),
        (b"\x00\x00\x0d\x03" + WHOLE[4:], UnknownFormat, "00 00 0d 03"),
        (idx(np.arange(5, dtype=np.uint8)), UnknownFormat, "00 00 08 01"),
        (WHOLE[:9], Truncated, "inside its header, after 9 bytes"),
        (WHOLE[:-1], Truncated, "23 of the 24 bytes"),
        (WHOLE + b"\x00", ReadError, "longer than the 24 bytes"),
        (idx(np.empty((0, 28, 28), np.uint8)), EmptyFile, "no values"),
        (WHOLE[:4] + b"\xff" * 12, ReadError, "images"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_idx_that_is_not_whole_is_refused(
    tmp_path: Path, content: bytes, error: type[ReadError], message: str, packed: bool
) -> None:
    path = tmp_path / ("images.gz" if packed else "images")
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(error, match=message) as caught:
        read_idx(path, 3)
    assert str(path) in caught.value.message
    assert caught.value.remedy


@pytest.mark.parametrize("damage", ["cut", "not gzip", "flipped"])
def test_a_damaged_gzip_file_is_refused(tmp_path: Path, damage: str) -> None:
    packed = gzip.compress(idx(np.random.default_rng(1).integers(0, 256, (9, 9, 9), dtype=np.uint8)))
    content = {"cut": packed[:300], "not gzip": WHOLE, "flipped": packed[:-6] + bytes([packed[-6] ^ 1]) + packed[-5:]}
    path = tmp_path / "images.gz"
    path.write_bytes(content[damage])
    with pytest.raises(ReadError, match=r"images\.gz"):
        read_idx(path, 3)


def test_mnist_files_become_digits_of_the_same_ink(mnist: Path) -> None:
    trained, held_out = load_mnist(mnist)
    assert trained.images.shape == (40, SIZE, SIZE)
    assert held_out.labels.tolist() == [*range(10), *range(10)]
    raw = read_idx(mnist / "t10k-images-idx3-ubyte.gz", 3) / 255
    # Doubling by bilinear interpolation keeps the mean but for the border, whose pixels are repeated.
    assert held_out.images.mean().item() == pytest.approx(raw.mean(), abs=1e-3)
    assert held_out.images[:, :4].abs().max() == 0


def test_mnist_says_what_is_missing_or_does_not_fit(mnist: Path) -> None:
    labels = mnist / "t10k-labels.idx1-ubyte"
    labels.write_bytes(idx(np.arange(19, dtype=np.uint8) % 10))
    with pytest.raises(ReadError, match=r"20 images, .* 19 labels"):
        load_mnist(mnist)
    labels.write_bytes(idx(np.arange(20, dtype=np.uint8)))
    with pytest.raises(ReadError, match="digits 0 to 9"):
        load_mnist(mnist)
    labels.unlink()
    with pytest.raises(ReadError, match="t10k-labels-idx1-ubyte"):
        load_mnist(mnist)


def test_a_short_training_reads_unseen_digits_better_than_class_means_do(
    reader: Reader, bundled: tuple[Digits, Digits]
) -> None:
    trained, held_out = bundled
    means = torch.stack([trained.images[trained.labels == c].mean(dim=0) for c in range(10)]).flatten(1)
    nearest = torch.cdist(held_out.images.flatten(1), means).argmin(dim=1)
    floor = float((nearest == held_out.labels).float().mean())
    assert 0.8 < floor < reader.accuracy(held_out)


def test_heads_grad_cam_and_sums_agree_on_digits(reader: Reader, bundled: tuple[Digits, Digits]) -> None:
    gaps = equalities(reader, bundled[1].images[:40])
    assert set(gaps) == {"heads", "add_up", "grad_cam"}
    assert max(gaps.values()) < 5e-5


def test_the_contrast_adds_up_to_the_log_odds(reader: Reader, bundled: tuple[Digits, Digits]) -> None:
    seven = bundled[1].images[bundled[1].labels == 7][0]
    probability = reader(seven[None]).logits[0].double().softmax(dim=0)
    found = explain(reader, seven, "7", "1")
    assert found.logit == pytest.approx(float((probability[7] / probability[1]).log()), abs=1e-5)
    back = explain(reader, seven, "1", "7")
    assert np.allclose(back.values, -found.values)


def test_erasing_takes_the_share_of_ink_from_the_end_that_is_asked_for(
    reader: Reader, bundled: tuple[Digits, Digits]
) -> None:
    seven = bundled[1].images[bundled[1].labels == 7][0]
    found = explain(reader, seven, "7", "1")
    for strongest in (True, False):
        kept = erase(seven, found, strongest=strongest, share=0.25)
        assert float(kept.sum() / seven.sum()) == pytest.approx(0.75, abs=0.01)
        assert ((kept == seven) | (kept == 0)).all()
    both = (erase(seven, found) == 0) & (erase(seven, found, strongest=False) == 0) & (seven > 0)
    assert not both.any()


def test_the_strokes_that_the_contrast_points_at_are_those_that_decide(
    reader: Reader, bundled: tuple[Digits, Digits]
) -> None:
    odds = deletion_check(reader, bundled[1], "7", "9")
    assert odds["strongest_erased"] < odds["weakest_erased"]
    assert odds["strongest_erased"] < odds["whole"]


def test_the_command_writes_pictures_and_figures(
    mnist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, figures = tmp_path / "pictures", tmp_path / "digits.json"
    main(["--mnist", str(mnist), "--out", str(out), "--epochs", "1", "--json", str(figures)])
    assert sorted(path.name for path in out.iterdir()) == ["digits-equal.png", "digits-row.png", "digits-seven.png"]
    for path in out.iterdir():
        picture = np.asarray(Image.open(path).convert("RGB"))
        assert picture.shape[1] > 800
        assert picture.std() > 5
    written = json.loads(figures.read_text())
    assert written["digits"] == {"trained_on": 40, "held_out": 20}
    seven = written["seven"]
    assert seven["log_odds"] == pytest.approx(seven["bias"] + seven["map_mean"], abs=1e-6)
    assert f"{written['accuracy_gap_cnn']:.1%} right" in capsys.readouterr().out


def test_the_command_refuses_a_wrong_folder_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="none of train-images-idx3-ubyte"):
        main(["--mnist", str(tmp_path)])
