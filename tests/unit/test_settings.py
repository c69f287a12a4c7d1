"""Settings: layers merge as promised, and every mistake is told with key, value, range and origin."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError

from quietscope.config import Settings, SettingsError
from quietscope.config.keys import known_keys
from quietscope.config.loader import describe, load_settings, profile_names, settings_to_toml
from quietscope.config.sources import FolderSettings, SimulatorSettings, WireSourceSettings


@pytest.fixture
def write(tmp_path):
    def write_file(text, name="settings.toml", encoding="utf-8"):
        file = tmp_path / name
        file.write_bytes(text.encode(encoding))
        return file

    return write_file


def complaint(**kwargs) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(**kwargs)
    return str(caught.value)


def test_defaults_are_the_settings_tree_itself():
    assert load_settings() == Settings()


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        load_settings().training.frames = 3


# --- layers


def test_each_layer_wins_over_the_one_below(write):
    file = write("[training]\nseed = 3\nframes = 33\n[source]\nrate_hz = 3.0\n")
    base = {"training": {"seed": 1, "frames": 11, "budget_s": 11.0, "threads": 1}}
    settings = load_settings(file, "demo", ["training.seed=4"], base)
    assert settings.training.seed == 4  # --set
    assert settings.training.frames == 33  # file
    assert settings.source.rate_hz == 3.0  # file, beside the profile's other keys of the source
    assert settings.source.frames == load_settings(profile="demo").source.frames  # profile
    assert settings.training.budget_s == load_settings(profile="demo").training.budget_s  # profile over base
    assert settings.training.threads == 1  # base
    assert settings.tiling == Settings().tiling  # defaults


def test_of_two_overrides_of_one_key_the_later_wins():
    assert load_settings(overrides=["training.frames=5", "training.frames=6"]).training.frames == 6


def test_a_section_can_be_given_as_one_value():
    settings = load_settings(overrides=["training={frames=5, seed=2}", "training.seed=3"])
    assert (settings.training.frames, settings.training.seed) == (5, 3)


@pytest.mark.parametrize(
    "overrides",
    [
        ["source.kind=folder", "source.path=images"],
        ["source.path=images", "source.kind=folder"],
        ["source={kind='folder', path='images'}"],
    ],
)
def test_another_kind_of_source_drops_the_keys_of_the_former(overrides):
    settings = load_settings(profile="demo", overrides=overrides)
    assert settings.source == FolderSettings(path=Path("images"))


def test_a_file_switches_the_kind_of_source_too(write):
    settings = load_settings(write('[source]\nkind = "wire"\n'), "demo")
    assert settings.source == WireSourceSettings()


def test_naming_the_same_kind_again_keeps_its_keys():
    settings = load_settings(profile="demo", overrides=["source.kind=simulator"])
    assert settings.source == load_settings(profile="demo").source


def test_a_key_of_the_default_source_needs_no_kind():
    assert load_settings(overrides=["source.frames=7"]).source == SimulatorSettings(frames=7)


def test_none_takes_back_what_a_lower_layer_said(write):
    file = write("[training]\nmax_steps = 50\n")
    assert load_settings(file).training.max_steps == 50
    assert load_settings(file, overrides=["training.max_steps=none"]).training.max_steps is None


# --- values given with --set


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"C:\data", Path(r"C:\data")),
        (r"C:\new\table", Path(r"C:\new\table")),
        (r"\\server\share\my runs", Path(r"\\server\share\my runs")),
        (r"'C:\data'", Path(r"C:\data")),
        ("a=b", Path("a=b")),
        ("{a=1}", Path("{a=1}")),
        ("[1]", Path("[1]")),
        ("2024", Path("2024")),
        ("true", Path("true")),
        ("/data/µ-scope", Path("/data/µ-scope")),
    ],
)
def test_paths_need_no_quotes(text, expected):
    assert load_settings(overrides=[f"out={text}"]).out == expected


@pytest.mark.parametrize("text", ["2024-01-01", "12", "1e5", '"12"', "true", "nan"])
def test_text_that_looks_like_something_else_stays_text(text):
    assert load_settings(overrides=[f"name={text}"]).name == text.strip('"')


@pytest.mark.parametrize("text", ["er,mitochondria", "er, mitochondria", '["er", "mitochondria"]'])
def test_lists_may_be_written_with_commas(text):
    assert load_settings(overrides=[f"source.channels={text}"]).source.channels == ("er", "mitochondria")


def test_a_line_break_smuggles_in_no_second_key():
    assert "training.frames" in complaint(overrides=["training.frames=1\nseed=2"])


@pytest.mark.parametrize("text", ["training.frames", "=5", "training..frames=5", ".a=1", ""])
def test_an_override_that_is_none_is_told(text):
    message = complaint(overrides=[text])
    assert repr(text) in message
    assert "KEY=VALUE" in message


# --- mistakes

MISTAKES = [
    ("training.frames=0", "training.frames = 0 (from --set): must be a whole number, 1 to 1000"),
    ("training.frames=1001", "training.frames = 1001 (from --set): must be a whole number, 1 to 1000"),
    ("training.frames=2.0", "training.frames = 2.0 (from --set): must be a whole number"),
    ("training.frames=true", "training.frames = true (from --set): must be a whole number"),
    (
        "training.budget_s='30'",
        'training.budget_s = "30" (from --set): must be a number, above 0, at most 86400',
    ),
    ("training.budget_s=inf", "(from --set): must be a number, above 0, at most 86400"),
    ("training.max_steps=0", "must be a whole number, at least 1, or none"),
    (
        "tiling.tile=100",
        "tiling.tile = 100 (from --set): must be a whole number, 32 to 4096, a multiple of 16",
    ),
    ("tiling.overlap=nan", "(from --set): must be a number, at least 0, below 0.9"),
    ("store.sync=1", "store.sync = 1 (from --set): must be true or false"),
    ("store.codec=zip", 'store.codec = "zip" (from --set): must be one of "blosc-zstd", "blosc-lz4", "none"'),
    ("adaptive_sn2n.stem=3", "adaptive_sn2n.stem = 3 (from --set): must be one of 1, 2, 4"),
    (
        "method=magic",
        'method = "magic" (from --set): must be one of "adaptive-sn2n", "fm2s", "noise2sr", "poisson2void"',
    ),
    ("name=a/b", 'name = "a/b" (from --set): must be a name of at most 100 letters'),
    (
        "source.kind=video",
        'source.kind = "video" (from --set): must be one of "folder", "micromanager", "run", "simulator", "wire"',
    ),
    ("source.channels=nucleus", 'source.channels[0] = "nucleus" (from --set): must be a list of at least 1'),
    ("source.channels=[]", "source.channels = [] (from --set): must be a list of at least 1"),
    ("source.faults.drop=2", "source.faults.drop = 2 (from --set): must be a number, 0 to 1"),
    ("source.kind=folder", 'source.path is missing: must be a path, needed where source.kind = "folder"'),
    ("source.path=x", 'exists only where source.kind = "folder" or source.kind = "run", and source.kind is'),
    ("store=5", "store = 5 (from --set): is a section; its keys are store.chunk"),
    ("training.frames.x=5", 'training.frames = {"x": 5} (from --set): must be a whole number'),
    ("trainin.frames=5", "trainin.frames = 5 (from --set): unknown key; did you mean training.frames?"),
    ("training.frame=5", "training.frame = 5 (from --set): unknown key; did you mean training.frames?"),
    ("budget_s=5", "budget_s = 5 (from --set): unknown key; did you mean training.budget_s?"),
    ("zzz=5", "zzz = 5 (from --set): unknown key"),
    (r'out="C:\new"', "the path holds a control character; write Windows paths in single quotes"),
]


@pytest.mark.parametrize(("override", "expected"), MISTAKES)
def test_a_mistake_is_told_with_key_value_range_and_origin(override, expected):
    message = complaint(overrides=[override])
    assert expected in message
    assert message.startswith("1 setting cannot be used:\n")
    assert message.endswith("`quietscope config keys` lists every key with what is allowed")


def test_all_mistakes_are_told_at_once_each_with_its_origin(write):
    file = write("[training]\nframes = 0\nseed = 5\n[tiling]\ntyle = 3\n")
    message = complaint(file=file, overrides=["store.chunk=7", "nonsense"], base={"stop": {"frames": -1}})
    assert message.startswith("5 settings cannot be used:\n")
    assert f"training.frames = 0 (from {file})" in message
    assert f"tiling.tyle = 3 (from {file}): unknown key; did you mean tiling.tile?" in message
    assert "store.chunk = 7 (from --set)" in message
    assert "stop.frames = -1 (from the command)" in message
    assert "'nonsense' is not KEY=VALUE" in message
    assert "seed" not in message


def test_values_that_exclude_each_other_are_told(write):
    file = write('[runtime]\nprovider = "cuda"\n')
    message = complaint(file=file, overrides=["runtime.threads=2"])
    assert f"runtime (from {file}, from --set): threads applies to provider 'cpu' or 'auto' only" in message


def test_a_long_value_is_shortened():
    message = complaint(overrides=["training.frames='" + "x" * 5000 + "'"])
    assert len(message) < 400


# --- files


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a = 1\n[training\nframes = 3\n", "line 2, column 10"),
        ("[training]\nframes = = 3\n", "line 2, column 10"),
        ("[training]\nframes = 3\nframes = 4\n", "line 3, column 11"),
        ("[training]\nname = 'abc", "line 2, column 12"),
    ],
)
def test_a_syntax_error_names_file_line_and_column(write, text, place):
    file = write(text)
    assert complaint(file=file).startswith(f"{file}, {place}: not valid TOML: ")


def test_a_windows_path_in_double_quotes_gets_the_right_hint(write):
    message = complaint(file=write('out = "C:\\data"\n'))
    assert "line 1" in message
    assert r"out = 'C:\data'" in message


def test_a_byte_order_mark_is_no_mistake(write):
    assert load_settings(write("[training]\nframes = 3\n", encoding="utf-8-sig")).training.frames == 3


def test_another_encoding_is_told(write):
    file = write('name = "µ"\n', encoding="utf-16")
    assert (
        complaint(file=file) == f"the settings file {file} is not UTF-8 text (byte 0); save it again as UTF-8"
    )


def test_a_file_that_is_not_there_is_told(tmp_path):
    file = tmp_path / "nowhere.toml"
    assert str(file) in complaint(file=file)


# --- profiles


def test_the_shipped_profiles():
    assert profile_names() == ("confocal", "demo", "sd_sim", "sim")


@pytest.mark.parametrize("name", [name for name in profile_names() if name != "demo"])
def test_profiles_of_microscopes_work_with_every_source(name):
    settings = load_settings(profile=name, overrides=["source.kind=folder", "source.path=images"])
    assert settings.source == FolderSettings(path=Path("images"))


def test_the_demo_shows_two_channels_of_sixty_frames_and_more():
    source = load_settings(profile="demo").source
    assert isinstance(source, SimulatorSettings)
    assert (source.height, source.width, len(source.channels)) == (512, 512, 2)
    assert source.frames >= 60


def test_an_unknown_profile_is_told_with_the_nearest():
    message = complaint(profile="sdsim")
    assert "'sdsim'" in message
    assert "did you mean 'sd_sim'?" in message
    assert "confocal, demo, sd_sim, sim" in message


def test_a_profile_name_is_no_path():
    assert "there is no profile '../profiles/demo'" in complaint(profile="../profiles/demo")


# --- writing, table


def everything_set() -> Settings:
    return load_settings(
        profile="confocal",
        overrides=[
            r"out=C:\runs\new",
            "name=run-1",
            "source.kind=folder",
            "source.path=/data/µ 'quoted' \"twice\"",
            r"source.pattern=^img_(?P<t>\d+)\.tif$",
            "source.pixel_size_um=1e-7",
            "training.max_steps=12",
            "stop.idle_s=0.5",
        ],
    )


@pytest.mark.parametrize(
    "settings", [*(load_settings(profile=name) for name in profile_names()), everything_set()]
)
def test_written_settings_load_again_as_equal(settings, write):
    text = settings_to_toml(settings)
    assert load_settings(write(text)) == settings
    assert load_settings(write(text), "demo") == settings


def test_written_settings_explain_each_key():
    lines = settings_to_toml(Settings()).splitlines()
    keys = [number for number, line in enumerate(lines) if re.match(r"\w+ = ", line)]
    assert len(keys) > 50
    assert [lines[number] for number in keys if not lines[number - 1].startswith("# ")] == []


@hypothesis_settings(deadline=None)  # loading opens a file, and a shared machine may be slow
@given(
    out=st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1).filter(
        lambda s: Path(s) != Path()
    ),
    budget=st.floats(min_value=1e-300, max_value=86400),
    frames=st.integers(1, 1000),
    include=st.lists(st.text(st.characters(exclude_categories=("Cs",)))),
)
def test_any_allowed_value_survives_writing_and_loading(out, budget, frames, include, tmp_path_factory):
    settings = Settings.model_validate(
        {
            "out": out,
            "source": {"kind": "folder", "path": out, "include": include},
            "training": {"budget_s": budget, "frames": frames},
        }
    )
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_text(settings_to_toml(settings), encoding="utf-8")
    assert load_settings(file) == settings


def test_none_is_the_default_of_all_that_may_be_none():
    # A value of none is left out of a written file, so loading it must bring none back.
    assert [info.key for info in describe() if info.optional and info.default is not None] == []


def test_the_table_has_every_key_with_its_meaning():
    def leaves(values, prefix=""):
        for name, value in values.items():
            if isinstance(value, dict):
                yield from leaves(value, f"{prefix}{name}.")
            else:
                yield prefix + name

    for source in ("simulator", "folder", "wire", "run"):
        overrides = [f"source.kind={source}", *(["source.path=x"] if source in {"folder", "run"} else [])]
        dumped = load_settings(overrides=overrides).model_dump(mode="json")
        assert set(leaves(dumped)) <= set(known_keys())
    assert [info.key for info in describe() if not info.meaning or not info.allowed] == []
    assert [info.key for info in describe() if info.required] == [
        "source.path"
    ] * 2  # of a folder and of a run


def test_the_table_says_where_a_key_exists():
    when = {(info.key, info.when) for info in describe()}
    assert ("source.path", 'source.kind = "folder"') in when
    assert ("source.when_full", 'source.kind = "wire"') in when
    assert ("training.frames", "") in when
