"""The build of the page: what counts as first load, and its limit."""

from pathlib import Path

import pytest

from services.gateway.web.build import FIRST_LOAD_MAX, MANIFEST, StepError, compress, files_of, sizes

CHUNKS = MANIFEST.validate_python(
    {
        "index.html": {"file": "index.js", "css": ["index.css"], "imports": ["_react.js"]},
        "_react.js": {"file": "react.js"},
        "src/views/jobs/Jobs.tsx": {"file": "jobs.js", "imports": ["index.html", "_table.js"]},
        "_table.js": {"file": "table.js", "imports": ["_react.js"]},
    }
)


def test_a_view_loads_what_it_imports_and_no_file_twice() -> None:
    assert files_of("src/views/jobs/Jobs.tsx", CHUNKS) == {
        "jobs.js",
        "table.js",
        "index.js",
        "index.css",
        "react.js",
    }


def test_a_view_that_loads_too_much_fails_the_build(tmp_path: Path) -> None:
    for name in ("jobs.js", "index.js", "index.css", "react.js"):
        (tmp_path / name).write_bytes(b"x" * 2000)
    (tmp_path / "table.js").write_bytes(bytes(range(256)) * 10)
    compress(tmp_path)
    assert len(list(sizes(tmp_path, CHUNKS))) == 2

    (tmp_path / "table.js.gz").write_bytes(b"x" * FIRST_LOAD_MAX)
    with pytest.raises(StepError, match=r"Jobs\.tsx loads"):
        list(sizes(tmp_path, CHUNKS))
