"""How much of the machine is in use: its processors, memory and disk, as the kernel's files say."""

from __future__ import annotations

import shutil
import threading
from contextlib import suppress
from pathlib import Path

from scorehouse.metrics import MACHINE_USED

PROC, CGROUP = Path("/proc"), Path("/sys/fs/cgroup")


class Machine:
    """Measures at each call of `measure`; the processors' share is of the time since the previous call."""

    def __init__(self, use_case: str, folder: Path, proc: Path = PROC, cgroup: Path = CGROUP):
        """Watch the disk that holds `folder`."""
        self._use_case = use_case
        self._folder = folder
        self._proc = proc
        self._cgroup = cgroup
        self._lock = threading.Lock()
        self._last = (0.0, 0.0)

    def measure(self) -> dict[str, float]:
        """Return the shares, 0 to 1, and set the metric; what this system does not report is left out."""
        shares = {"cpu": self._processors(), "memory": self._memory(), "disk": self._disk()}
        known = {part: share for part, share in shares.items() if share is not None}
        for part, share in known.items():
            MACHINE_USED.labels(self._use_case, part).set(share)
        return known

    def _processors(self) -> float | None:
        """Of all cores together: user, nice, system, idle, iowait, irq, softirq, steal (man 5 proc)."""
        try:
            ticks = [float(t) for t in (self._proc / "stat").read_text().partition("\n")[0].split()[1:9]]
        except (OSError, ValueError):
            return None
        with self._lock:
            before, self._last = self._last, (sum(ticks), ticks[3] + ticks[4])
        whole = self._last[0] - before[0]
        return 1 - (self._last[1] - before[1]) / whole if before[0] and whole > 0 else None

    def _memory(self) -> float | None:
        """Of the container's limit if there is one, without what the kernel would give back; else of the machine."""
        with suppress(OSError, ValueError):  # without a container the machine's own figure counts
            limit = (self._cgroup / "memory.max").read_text().strip()
            if limit != "max":
                stat = dict(line.split() for line in (self._cgroup / "memory.stat").read_text().splitlines())
                used = int((self._cgroup / "memory.current").read_text()) - int(stat.get("inactive_file", 0))
                return used / int(limit)
        try:
            lines = (line.split(":") for line in (self._proc / "meminfo").read_text().splitlines())
            kilobytes = {name: float(rest.split()[0]) for name, rest in lines}
            return 1 - kilobytes["MemAvailable"] / kilobytes["MemTotal"]
        except (OSError, ValueError, KeyError):
            return None

    def _disk(self) -> float | None:
        try:
            disk = shutil.disk_usage(self._folder)
        except OSError:
            return None
        return disk.used / disk.total
