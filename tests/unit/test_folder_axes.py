"""Axes, channels and scales from the descriptions of stacks."""

import numpy as np
import pytest
import tifffile

from quietscope.adapters.folder import look_into
from quietscope.adapters.folder.ome_axes import describe_ome
from quietscope.adapters.sharing import open_shared

STACK = np.arange(2 * 3 * 2 * 8 * 9, dtype=np.uint16).reshape(2, 3, 2, 8, 9)


def info_of(path, **how):
    with open_shared(path) as file:
        return look_into(file, path.name, **how).info


def places(info, count):
    return [tuple(info.place(k).get(axis, 0) for axis in "tczp") for k in range(count)]


EXPECTED_TZC = [(t, c, z, 0) for t in range(2) for z in range(3) for c in range(2)]


def test_imagej_hyperstack(tmp_path):
    path = tmp_path / "x.tif"
    tifffile.imwrite(
        path, STACK, imagej=True, resolution=(1 / 0.065, 1 / 0.065), metadata={"axes": "TZCYX", "unit": "um"}
    )
    info = info_of(path)
    assert places(info, 12) == EXPECTED_TZC
    assert info.pixel_size_um == pytest.approx(0.065, rel=1e-6)
    assert info.planned == {"z": 3, "c": 2}


@pytest.mark.parametrize("unit", ["µm", "\\u00B5m", "micron"])
def test_imagej_units(tmp_path, unit):
    path = tmp_path / "x.tif"
    description = f"ImageJ=1.54f\nunit={unit}\n"
    tifffile.imwrite(path, STACK[0, 0, 0], resolution=(4, 4), metadata=None, description=description.encode())
    assert info_of(path).pixel_size_um == 0.25


def test_ome(tmp_path):
    path = tmp_path / "x.ome.tif"
    tifffile.imwrite(
        path,
        STACK,
        metadata={
            "axes": "TZCYX",
            "PhysicalSizeX": 108,
            "PhysicalSizeXUnit": "nm",
            "Channel": {"Name": ["DAPI", "GFP"]},
            "Plane": {"ExposureTime": [0.05] * 12, "ExposureTimeUnit": ["s"] * 12},
        },
    )
    info = info_of(path)
    assert places(info, 12) == EXPECTED_TZC
    assert info.channels == ("DAPI", "GFP")
    assert info.pixel_size_um == pytest.approx(0.108)
    assert info.exposure_ms == pytest.approx(50)


def test_ome_positions_and_files():
    """Blocks with file names: each file knows its own planes, and a set counts its time points together."""
    block = (
        '<TiffData IFD="{}" FirstT="{}" FirstC="{}" PlaneCount="1"><UUID FileName="{}">x</UUID></TiffData>'
    )
    blocks = "".join(block.format(t, t, c, f"c{c}.ome.tif") for c in range(2) for t in range(2))
    pixels = '<Pixels DimensionOrder="XYZCT" SizeX="9" SizeY="8" SizeZ="1" SizeC="2" SizeT="2" Type="uint16">'
    xml = f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image>{pixels}{blocks}</Pixels></Image></OME>'
    info = describe_ome(xml, "c1.ome.tif")
    assert places(info, 2) == [(0, 1, 0, 0), (1, 1, 0, 0)]
    assert info.images == 2
    assert info.group == describe_ome(xml, "c0.ome.tif").group is not None
    assert describe_ome(xml, "other.ome.tif") is None


@pytest.mark.parametrize(
    "text", ["", "<OME", "<OME></OME>", "<OME><BinaryOnly MetadataFile='x'/></OME>", "<svg/>"]
)
def test_xml_without_pixels_is_no_description(text):
    assert describe_ome(text, "x.ome.tif") is None


def test_tifffile_axes(tmp_path):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, STACK, metadata={"axes": "TZCYX"})
    assert places(info_of(path), 12) == EXPECTED_TZC
    tifffile.imwrite(path, STACK[0], metadata={"axes": "QCYX"})
    assert places(info_of(path), 6) == [(t, c, 0, 0) for t in range(3) for c in range(2)]
    tifffile.imwrite(path, STACK[0])
    assert places(info_of(path), 6) == [(t, 0, 0, 0) for t in range(6)]
    assert places(info_of(path, free_axis="z"), 6) == [(0, 0, z, 0) for z in range(6)]


@pytest.mark.parametrize(
    ("setting", "metadata", "expected"),
    [
        ("tc", {}, [(t, c, 0, 0) for t in range(3) for c in range(2)]),
        ("tc2", None, [(t, c, 0, 0) for t in range(3) for c in range(2)]),
        ("z", None, [(0, 0, z, 0) for z in range(6)]),
        # Two axes are stated, one is set: the file is believed.
        ("t", {"axes": "ZCYX"}, [(0, c, z, 0) for z in range(3) for c in range(2)]),
        ("tc", {"axes": "ZCYX"}, [(t, c, 0, 0) for t in range(3) for c in range(2)]),
    ],
)
def test_stack_axes_of_the_user(tmp_path, setting, metadata, expected):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, STACK[0], metadata=metadata)
    assert places(info_of(path, stack_axes=setting), 6) == expected
