"""Pyramids: levels, their places, labels, and other programs that read them."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

import upsample
from upsample.__main__ import main

zarr = pytest.importorskip("zarr", reason="zarr is not installed")
da = pytest.importorskip("dask.array", reason="dask is not installed")

from upsample.pyramid import downsample_mode, write_pyramid  # noqa: E402

IMAGE = np.random.default_rng(0).integers(0, 2**16, (3, 130, 201), dtype=np.uint16)


def described(folder: Path, version: str) -> dict:
    attributes = dict(zarr.open_group(str(folder), mode="r").attrs)
    return (attributes["ome"] if version == "0.5" else attributes)["multiscales"][0]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_levels_and_their_places(tmp_path: Path, version: str) -> None:
    out = tmp_path / "image.zarr"
    shapes = write_pyramid(
        IMAGE, out, axes="zyx", chunk=32, pixel_size=(2.0, 0.5, 0.25), unit="micrometer", version=version
    )
    assert shapes == [(3, 130, 201), (3, 65, 100), (3, 32, 50), (3, 16, 25)]
    group = zarr.open_group(str(out), mode="r")
    assert group.metadata.zarr_format == (2 if version == "0.4" else 3)
    want = IMAGE
    for level, shape in enumerate(shapes):
        made = group[str(level)]
        assert (made.shape, made.dtype, made.chunks) == (shape, IMAGE.dtype, tuple(map(min, (1, 32, 32), shape)))
        if level:
            want = upsample.resize(want, shape[1:], axes=(1, 2), mode="area")
        assert made[:].tobytes() == want.tobytes()
    about = described(out, version)
    assert [axis["name"] for axis in about["axes"]] == ["z", "y", "x"]
    assert about["axes"][1] == {"name": "y", "type": "space", "unit": "micrometer"}
    for dataset, shape in zip(about["datasets"], shapes, strict=True):
        found = {each["type"]: each[each["type"]] for each in dataset["coordinateTransformations"]}
        factors = np.asarray(IMAGE.shape) / shape
        np.testing.assert_allclose(found["scale"], factors * (2.0, 0.5, 0.25))
        shift = found.get("translation", [0, 0, 0])
        first, last = np.asarray(shift) - np.asarray(found["scale"]) / 2, np.asarray(shape) - 0.5
        np.testing.assert_allclose(first, [-1.0, -0.25, -0.125])  # every level begins where the first one does
        np.testing.assert_allclose(last * found["scale"] + shift, (np.asarray(IMAGE.shape) - 0.5) * (2.0, 0.5, 0.25))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_reads_it(tmp_path: Path, version: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        io = pytest.importorskip("ome_zarr.io", reason="ome_zarr is not installed")
        reader = pytest.importorskip("ome_zarr.reader", reason="ome_zarr is not installed")
        write_pyramid(IMAGE, tmp_path / "image.zarr", chunk=64, version=version)
        (node,) = reader.Reader(io.parse_url(str(tmp_path / "image.zarr"), mode="r"))()
        assert [x.shape for x in node.data] == [(3, 130, 201), (3, 65, 100), (3, 32, 50)]
        assert node.data[0].compute().tobytes() == IMAGE.tobytes()


def test_a_pyramid_of_a_pyramid_keeps_its_axes_and_places(tmp_path: Path) -> None:
    write_pyramid(IMAGE, tmp_path / "a.zarr", axes="cyx", chunk=64, pixel_size=(1, 3, 3), unit="nanometer")
    write_pyramid(str(tmp_path / "a.zarr"), tmp_path / "b.zarr", version="0.4")
    one, other = described(tmp_path / "a.zarr", "0.5"), described(tmp_path / "b.zarr", "0.4")
    assert one["axes"] == other["axes"]
    assert one["datasets"] == other["datasets"]


def vote(labels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    made = np.empty(shape, labels.dtype)
    for place in np.ndindex(*shape):
        window = tuple(
            slice(i * m // n, -(-(i + 1) * m // n)) for i, m, n in zip(place, labels.shape, shape, strict=True)
        )
        found, count = np.unique(labels[window], return_counts=True)
        made[place] = found[count.argmax()]
    return made


@pytest.mark.parametrize(
    ("size", "shape"), [((12, 18), (6, 9)), ((13, 7), (6, 3)), ((5, 5, 9), (5, 2, 4)), ((3,), (1,))]
)
def test_mode_is_the_most_frequent_label(size: tuple[int, ...], shape: tuple[int, ...]) -> None:
    for seed in range(5):
        labels = np.random.default_rng(seed).integers(0, 3, size).astype(np.int32)
        want = vote(labels, shape)
        np.testing.assert_array_equal(downsample_mode(labels, shape), want)
        lazy = downsample_mode(da.from_array(labels, chunks=4), shape)
        np.testing.assert_array_equal(lazy.compute(scheduler="synchronous"), want)


@pytest.mark.parametrize("method", ["mode", "nearest"])
def test_labels_stay_labels(tmp_path: Path, method: str) -> None:
    labels = np.random.default_rng(0).choice(np.asarray([0, 7, 3000], np.uint32), (64, 64))
    write_pyramid(labels, tmp_path / "labels.zarr", method=method, chunk=16)
    group = zarr.open_group(str(tmp_path / "labels.zarr"), mode="r")
    assert "image-label" in group.attrs["ome"]
    assert set(np.unique(group["2"][:]).tolist()) <= {0, 7, 3000}


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "image.npy", IMAGE)
    out = tmp_path / "out.zarr"
    assert main(["pyramid", str(tmp_path / "image.npy"), str(out), "--chunk", "64", "--ome-zarr", "0.4"]) == 0
    said = capsys.readouterr().out
    assert "level 2: 3 x 32 x 50" in said
    assert "100% Completed" in said
    assert json.loads((out / ".zattrs").read_text())["multiscales"][0]["version"] == "0.4"
    assert main(["pyramid", str(tmp_path / "image.npy"), str(out), "--quiet"]) == 2
    assert "it exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"axes": "xyz"}, "in this order"),
        ({"method": "best"}, "method is unknown"),
        ({"version": "1"}, "0.4 or 0.5"),
        ({"downsample": "c"}, "axes of space"),
        ({"pixel_size": (1.0,)}, "3 axes"),
    ],
)
def test_errors(tmp_path: Path, options: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        write_pyramid(IMAGE, tmp_path / "out.zarr", **options)
    assert not (tmp_path / "out.zarr").exists()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_call_that_fails_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    """It may fail in any level; then the same call works."""

    def broken(block: np.ndarray, block_info: dict) -> np.ndarray:
        if block_info[0]["chunk-location"] == (2, 3, 1):
            raise error("a block cannot be read")
        return block

    image = da.from_array(IMAGE, chunks=(1, 32, 32))
    with pytest.raises(error):
        write_pyramid(image.map_blocks(broken, meta=IMAGE[:0, :0, :0]), tmp_path / "out.zarr")
    assert list(tmp_path.iterdir()) == []
    write_pyramid(image, tmp_path / "out.zarr")
    assert [path.name for path in tmp_path.iterdir()] == ["out.zarr"]


def test_levels_are_in_a_folder_beside_until_all_are_written(tmp_path: Path) -> None:
    seen = set()

    def look(block: np.ndarray) -> np.ndarray:
        seen.update(path.name.partition("-")[0] for path in tmp_path.iterdir())
        return block

    image = da.from_array(IMAGE, chunks=(1, 32, 32)).map_blocks(look, meta=IMAGE[:0, :0, :0])
    write_pyramid(image, tmp_path / "out.zarr")
    assert seen == {"out.zarr.unfinished"}
