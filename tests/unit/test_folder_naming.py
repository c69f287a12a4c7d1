"""Keys from file names."""

import pytest

from quietscope.adapters.folder.naming import NameKey, NameReader, natural_key
from quietscope.config.errors import SettingsError


@pytest.mark.parametrize(
    ("name", "key"),
    [
        # Micro-Manager 2: axes sorted by name, only axes in use.
        ("Default/img_channel001_position002_time000000003_z004.tif", NameKey(3, 1, 4, 2)),
        ("Pos0/img_channel001_time000000003_z004.tif", NameKey(3, 1, 4, None, "Pos0")),
        ("img_time000000012.tif", NameKey(12, 0, 0, None, "")),
        ("img_channel000_z010.tiff", NameKey(0, 0, 10, None, "")),
        # Micro-Manager 1.4: the channel's name may hold anything.
        ("Pos1/img_000000007_DAPI_002.tif", NameKey(7, "DAPI", 2, None, "Pos1")),
        ("img_000000007_GFP_long_2_000.tif", NameKey(7, "GFP_long_2", 0, None, "")),
        ("img_000000000__000.tif", NameKey(0, "Default", 0, None, "")),
    ],
)
def test_micro_managers_names_are_recognised(name, key):
    assert NameReader(None).read(name) == key


@pytest.mark.parametrize("name", ["cell_t003_c1.tif", "img_007.tif", "HV110_P0500510000.png", "img_t001.tif"])
def test_numbers_in_other_names_mean_nothing(name):
    assert NameReader(None).read(name) == NameKey()


def test_most_of_the_first_names_decide():
    names = ["Overview.tif", "img_channel000_time000000000.tif", "img_channel000_time000000001.tif"]
    reader = NameReader(None)
    reader.decide(names)
    assert reader.read(names[0]) is None
    assert reader.read(names[1]) == NameKey(0, 0, 0, None, "")
    reader = NameReader(None)
    reader.decide(["a.tif", "b.tif", names[1]])
    assert reader.read(names[1]) == NameKey()


@pytest.mark.parametrize(
    ("pattern", "name", "key"),
    [
        (r"t(?P<t>\d+)_c(?P<c>\d+)_z(?P<z>\d+)_p(?P<p>\d+)", "a/t012_c1_z3_p2.tif", NameKey(12, 1, 3, 2)),
        (r"(?P<c>DAPI|GFP)_(?P<t>\d+)\.tif", "GFP_5.tif", NameKey(5, "GFP")),
        # A wavelength is a name, not the 489th channel.
        (r"w(?P<c>\d+)_t(?P<t>\d+)", "w488_t1.tif", NameKey(1, "488")),
        (r"well(?P<p>\d+)/.*_(?P<t>\d+)", "well3/x_4.tif", NameKey(4, None, None, 3)),
        (r"(?P<t>\d+)(_z(?P<z>\d+))?\.tif", "x4.tif", NameKey(4)),
        (r"(?P<t>\d+)\.tif", "x.tif", None),
        (r"(?P<t>\w+)\.tif", "x.tif", None),
    ],
)
def test_a_pattern_gives_keys(pattern, name, key):
    assert NameReader(pattern).read(name) == key


@pytest.mark.parametrize("pattern", [r"(?P<t>\d+", r"\d+", r"(?P<time>\d+)", r"(?P<t>\d+)_(?P<x>\d+)"])
def test_a_pattern_that_cannot_work_is_refused_with_the_mend(pattern):
    with pytest.raises(SettingsError, match="pattern = "):
        NameReader(pattern)


def test_natural_order():
    names = ["img10.tif", "Img9.tif", "img1.tif", "b/2.tif", "b/10.tif", "a.tif", "٣.tif"]
    ordered = ["a.tif", "b/2.tif", "b/10.tif", "img1.tif", "Img9.tif", "img10.tif"]
    assert [name for name in sorted(names, key=natural_key) if name != "٣.tif"] == ordered
