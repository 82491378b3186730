"""Decides which scans follow from changed paths: few of them, none too early. Values alone."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

PATHS_MAX: Final = 10_000
"""Changed paths that are remembered; beyond them the whole root is scanned."""
FILES_OF_A_FOLDER: Final = 8
"""Changed files in one folder that are scanned by themselves; beyond them the folder is."""
SCANS_MAX: Final = 32
"""Scans that are asked for at once; beyond them wider folders are scanned."""
WHOLE_ROOT: Final = ""


@dataclass(slots=True)
class Changes:
    """Paths of one root that changed and are not scanned yet."""

    quiet_s: float
    """How long a path has to be left alone before it is scanned: a copy that goes on would look truncated."""
    _last: dict[str, float] = field(default_factory=dict[str, float])

    def __bool__(self) -> bool:
        return bool(self._last)

    def note(self, paths: Collection[str], now: float) -> None:
        """Note that something happened at *paths*, relative to the root."""
        self._last |= dict.fromkeys(paths, now)
        if len(self._last) > PATHS_MAX:
            self._last = {WHOLE_ROOT: now}

    def ripe(self, now: float) -> list[str]:
        """Return what is to be scanned now, and forget it."""
        ripe = [path for path, last in self._last.items() if now - last >= self.quiet_s]
        for path in ripe:
            del self._last[path]
        return targets(ripe)


def targets(paths: Collection[str]) -> list[str]:
    """Return the files and folders whose scans cover all *paths*, sorted; an empty one is the whole root."""
    chosen = set(paths)
    crowds = {folder for folder, count in Counter(map(_folder, chosen)).items() if count > FILES_OF_A_FOLDER}
    chosen = {_folder(path) if _folder(path) in crowds else path for path in chosen}
    while len(_uncovered(chosen)) > SCANS_MAX:
        deepest = max(path.count("/") for path in chosen)
        chosen = {_folder(path) if path.count("/") == deepest else path for path in chosen}
    return sorted(_uncovered(chosen))


def _uncovered(paths: Collection[str]) -> set[str]:
    """Return those that lie below no other."""
    return {path for path in paths if not any(folder in paths for folder in _above(path))}


def _above(path: str) -> list[str]:
    parts = path.split("/") if path else []
    return ["/".join(parts[:count]) for count in range(len(parts))]


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
