"""Compiled code on disk is a convenience: whatever ails it, a fit compiles, and warns once."""

import errno
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytensor
import pytest
from numba.core import caching
from pytensor.link.numba import cache as pytensor_cache

from pymc_mlm.codegen.function import COMPILED, as_cfunc, copy_code
from pymc_mlm.ops import disk_cache, register_numba


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Let the cache be an empty folder of the test's own, about which nothing has been reported."""
    register_numba()
    folder = tmp_path / "numba"
    folder.mkdir()
    monkeypatch.setattr(pytensor_cache, "NUMBA_CACHE_PATH", folder)
    monkeypatch.setattr(disk_cache, "_reported", set())
    return folder


def compiled():
    """Compile a small function as models are in a new process; return it and the warnings."""
    import numba

    COMPILED.clear()
    pointer, u64 = numba.types.CPointer(numba.types.double), numba.types.uint64
    signature = numba.types.int64(u64, u64, pointer, pointer, numba.types.voidptr)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function = as_cfunc(copy_code(), signature)
    assert function.address
    return function, [w for w in caught if issubclass(w.category, RuntimeWarning)]


def half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def nothing(path):
    path.write_bytes(b"")


def noise(path):
    path.write_bytes(bytes(range(37, 256)) * 9)


def version_alone(path):
    """Leave the version that numba reads first, followed by something else than an index."""
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b".", 5) + 1] + b"\x80\x04N.")


def one_byte(share):
    def flip(path):
        """Change one byte at a share of the file's length."""
        data = bytearray(path.read_bytes())
        data[int(share * (len(data) - 1))] ^= 0x10
        path.write_bytes(bytes(data))

    return flip


FLIPS = [(one_byte(s), end) for s in (0.0, 0.05, 0.3, 0.5, 0.7, 0.85) for end in (".nbi", ".nbc")]
DAMAGES = [
    (half, ".nbi"), (nothing, ".nbi"), (noise, ".nbi"), (version_alone, ".nbi"),
    (half, ".nbc"), (nothing, ".nbc"), (noise, ".nbc"),
    (half, ""), (noise, ""), *FLIPS,
]  # fmt: skip


@pytest.mark.parametrize(("damage", "suffix"), DAMAGES)
def test_damaged_code_is_compiled_anew_with_one_warning_and_healed(folder, damage, suffix):
    assert compiled()[0].cache_hits == 0
    for path in folder.glob(f"*{suffix}"):
        damage(path)
    function, caught = compiled()
    assert function.cache_hits == 0
    assert len(caught) == 1
    assert str(folder) in str(caught[0].message)
    assert "was damaged" in str(caught[0].message)
    assert caught[0].filename == __file__
    function, caught = compiled()
    assert function.cache_hits == 1
    assert caught == []


@pytest.mark.parametrize("share", [0.999, 1.0])
@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_a_changed_byte_of_a_checksum_is_damage(folder, share, suffix):
    compiled()
    for path in folder.glob(f"*{suffix}"):
        one_byte(share)(path)
    assert len(compiled()[1]) == 1
    assert compiled()[0].cache_hits == 1


def test_code_that_pytensor_kept_without_a_checksum_is_used(folder):
    compiled()
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes().rpartition(b"sha256 of what comes before:")[0])
    function, caught = compiled()
    assert (function.cache_hits, caught) == (1, [])


def a_file_in_its_place(folder, monkeypatch):
    shutil.rmtree(folder)
    folder.touch()


def failing(number):
    def fail(folder, monkeypatch):
        def replace(*_):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(caching.os, "replace", replace)

    return fail


def read_only_and_damaged(folder, monkeypatch):
    compiled()
    for path in folder.iterdir():
        noise(path)
    failing(errno.EROFS)(folder, monkeypatch)


UNUSABLE = {
    "file": a_file_in_its_place,
    "read-only": failing(errno.EROFS),
    "full": failing(errno.ENOSPC),
    "forbidden": failing(errno.EACCES),
    "read-only and damaged": read_only_and_damaged,
}


@pytest.mark.parametrize("ail", UNUSABLE.values(), ids=UNUSABLE)
def test_code_is_compiled_without_a_folder_that_cannot_be_used(folder, monkeypatch, ail):
    ail(folder, monkeypatch)
    function, caught = compiled()
    assert function.cache_hits == 0
    assert len(caught) == 1
    assert str(folder) in str(caught[0].message)
    assert "base_compiledir" in str(caught[0].message)
    function, caught = compiled()
    assert function.cache_hits == 0
    assert caught == []


def test_a_folder_deleted_meanwhile_is_made_again(folder):
    compiled()
    shutil.rmtree(folder)
    function, caught = compiled()
    assert (function.cache_hits, caught) == (0, [])
    function, caught = compiled()
    assert (function.cache_hits, caught) == (1, [])


def test_without_the_disk_cache_code_is_compiled_and_not_kept(folder):
    with pytensor.config.change_flags(numba__cache=False):
        function, caught = compiled()
    assert (function.cache_hits, caught) == (0, [])
    assert list(folder.iterdir()) == []


def test_caches_of_the_users_own_functions_fail_as_before(folder, tmp_path, monkeypatch):
    import numba

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "own"))
    module = tmp_path / "own_module.py"
    module.write_text("import numba\n@numba.njit(cache=True)\ndef f(x):\n    return x + 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    from own_module import f

    failing(errno.ENOSPC)(folder, monkeypatch)
    with pytest.raises(OSError, match="No space left"):
        f(1)


@pytest.fixture
def linker(tmp_path, monkeypatch):
    """Return a folder of PyTensor's linker, looked at once."""
    monkeypatch.setattr(disk_cache, "_reported", set())
    folder = tmp_path / "lazylinker_ext"
    folder.mkdir()
    (folder / "lazylinker_ext.so").write_bytes(bytes(range(256)) * 50)
    (folder / "__init__.py").write_text("_version = 0.32\n")
    disk_cache.check_linker(folder)
    return folder


@pytest.mark.parametrize("name", ["lazylinker_ext.so", "__init__.py"])
@pytest.mark.parametrize("damage", [half, nothing, noise, one_byte(0.5)])
def test_a_damaged_linker_is_removed_with_one_warning(linker, damage, name):
    disk_cache.check_linker(linker)
    assert linker.exists()
    damage(linker / name)
    with pytest.warns(RuntimeWarning, match="lazylinker_ext was damaged"):
        disk_cache.check_linker(linker)
    assert not linker.exists()
    disk_cache.check_linker(linker)


def test_a_linker_of_another_pytensor_is_not_damaged(linker, monkeypatch):
    monkeypatch.setattr(pytensor, "__version__", "99.0")
    noise(linker / "lazylinker_ext.so")
    disk_cache.check_linker(linker)
    half(linker / "lazylinker_ext.so")
    with pytest.warns(RuntimeWarning, match="was damaged"):
        disk_cache.check_linker(linker)


def test_a_linker_that_is_being_compiled_is_left_alone(tmp_path):
    (tmp_path / "lazylinker_ext.so").write_bytes(b"half")
    (tmp_path / "__init__.py").write_text("")
    disk_cache.check_linker(tmp_path)
    assert not (tmp_path / "sha256").exists()


SCRIPT = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pymc_mlm.ops import register_numba
register_numba()
from test_disk_cache import compiled
function, caught = compiled()
print("hits", function.cache_hits, "warnings", len(caught))
import pymc as pm
with pm.Model() as model:
    pm.Normal("x")
print(model.initial_point())
"""


def started(base):
    flags = os.environ.get("PYTENSOR_FLAGS", "") + f",base_compiledir={base}"
    return subprocess.Popen(
        [sys.executable, "-W", "always::RuntimeWarning", "-c", SCRIPT],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTENSOR_FLAGS": flags.strip(",")},
    )


def test_a_base_folder_that_cannot_be_made_is_replaced_for_the_session(tmp_path):
    base = tmp_path / "base"
    base.touch()
    process = started(base)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "hits 0 warnings 0" in out
    assert err.count("The cache of compiled code") == 1
    assert str(base) in err


def test_a_truncated_linker_does_not_end_the_process(tmp_path):
    def run():
        process = started(tmp_path)
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        return err.count("lazylinker_ext was damaged")

    assert (run(), run()) == (0, 0)
    (library,) = tmp_path.glob("compiledir*/lazylinker_ext/*.so")
    library.write_bytes(library.read_bytes()[:5000])
    assert (run(), run()) == (1, 0)


def test_two_processes_that_compile_at_once_leave_a_cache_that_serves_a_third(tmp_path):
    for process in [started(tmp_path), started(tmp_path)]:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        assert "warnings 0" in out
    out, err = started(tmp_path).communicate(timeout=300)
    assert "hits 1 warnings 0" in out, err
