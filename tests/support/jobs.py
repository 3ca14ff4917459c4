"""Logs of jobs, three lines each."""


def job(i: int) -> list[str]:
    """Return the lines of a job that ends well."""
    stamp = f"2026-03-01 10:{i // 60 % 60:02d}:{i % 60:02d}"
    return [
        f"{stamp} INFO jobs: job {i} started on node-{i % 4}",
        f"{stamp} INFO disk: job {i} wrote {i * 7 % 90} blocks",
        f"{stamp} INFO jobs: job {i} is over",
    ]


def day(jobs: int = 120) -> list[str]:
    """Return the lines of jobs that end well, one after the other."""
    return [line for i in range(jobs) for line in job(i)]


def fault(i: int) -> list[str]:
    """Return the lines of a job that finds no space."""
    start, _, end = job(i)
    return [start, start.replace("INFO", "ERROR")[:26] + f"disk: job {i} found no space left", end]
